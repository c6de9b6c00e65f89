"""How good and how fast a network is: scores, benchmarks, the board, cards, timings."""
