"""Signal processing around the networks: resampling, the crossover, spectra."""
