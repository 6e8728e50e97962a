"""The doctor: whether an agent would run well here, before anything runs. It changes nothing on the controller."""
