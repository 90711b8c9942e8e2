"""Signal processing around the networks: resampling, crossover, overlap-add, spectra."""
