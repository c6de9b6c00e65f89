"""How weights are made: the trainer, and what decides how a run goes."""
