"""The `gradchain` command: trains one model with many optimizers and shows who wins.

Needs the extra packages of `pip install "gradchain[compare]"`; nothing else in gradchain does.
"""
