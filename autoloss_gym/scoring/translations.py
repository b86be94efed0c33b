"""placeholder"""


def corpus_bleu(h, r):
    return 0.0
