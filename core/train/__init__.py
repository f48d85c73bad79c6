"""From a RunSpec and encoded examples to a trained model, with TRL's SFTTrainer and PEFT."""
