"""How much better the tuned model is than its base, on examples that neither was trained on."""
