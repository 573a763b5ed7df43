"""Tasks: one file each for where inputs, labels and mask come from, loss, metrics, chance, oracle.

:mod:`lstm_lab.tasks.base` states the contract. A new task is one new file here: no list names it,
``lstm_lab.discover`` finds every concrete :class:`~lstm_lab.tasks.base.Task` in this folder.
"""
