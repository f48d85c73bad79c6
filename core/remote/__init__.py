"""The same run on the Hub's machines, by HF Jobs: shipped, followed, and brought home.

flavors.py    the machines, what they cost, and what a plan may count on
estimate.py   what a run would take there: time, money, timeout
record.py     remote.json: which job it is, so that no second one is ever paid for
client.py     the Jobs API, with timeouts, second tries and sentences
shipping.py   what the machine gets: settings, data, code, in a private repository of the run's own
carry.py      what runs there: a run like any other, told of and saved as it goes
words.py      the run's events as marked lines of the job's log
follow.py     what runs here: copies the events, passes on requests, pulls the results
pulling.py    results, verified by their hashes before anything takes its place
"""
