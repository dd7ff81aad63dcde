"""Hostile and broken files by the thousand: python -m benchmarks.fuzz --count 10000 --seed 0

    samples    valid files of every format that is read, made here
    mutations  a sample and a source of chance -> a broken file
    reading    a file -> the entry points of the app and the commands; what a reader was answered
    watching   many files, each under limits of time and memory, in a process that may be killed

A mutant follows from the seed and its number alone, so that `--only NUMBER` gives it again.
"""
