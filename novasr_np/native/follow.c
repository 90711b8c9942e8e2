/* Where a sound ends that moves, as rates.h says. What is believed is written in
 * networks/airband/follow.py. */
enum {
    EVERY = 20, LOOKS_BACK = 10,            /* frames from one look to the next; of these, how many are seen */
    TIMES = 3, WITHIN = 2, UP = 2, DOWN = 6 /* findings in a row; bins */
};

struct novasr_follow {
    Finder finder;
    Spectrum spectra[LOOKS_BACK], total;
    int channels, hop, edge;
    int frames, newest;         /* in the newest spectrum; which one that is */
    int found[TIMES], findings; /* the last ones, the newest at the end; how many, up to TIMES */
    long held;                  /* samples of each channel in x, which begins with the next frame */
    float *x;
};

size_t novasr_follow_bytes(int rate, int channels)
{
    if (!novasr_takes(NOVASR_AIRBAND, rate) || channels < 1)
        return 0;
    int size = frame_of(rate);
    return padded(sizeof(novasr_follow)) + finder_bytes(size) + (LOOKS_BACK + 1) * spectrum_bytes(size)
        + padded(sizeof(float) * (size_t)channels * (size_t)size);
}

novasr_follow *novasr_follow_begin(void *memory, int rate, int channels, int edge)
{
    novasr_follow *f = memory;
    if (!aligned(memory) || !novasr_follow_bytes(rate, channels))
        return 0;
    int size = frame_of(rate);
    byte *at = (byte *)memory + padded(sizeof *f);
    place_finder(&f->finder, size, at);
    at += finder_bytes(size);
    EACH(i, LOOKS_BACK) place_spectrum(&f->spectra[i], size / 2, at + (size_t)i * spectrum_bytes(size));
    at += LOOKS_BACK * spectrum_bytes(size);
    place_spectrum(&f->total, size / 2, at);
    f->x = (float *)(at + spectrum_bytes(size));
    f->channels = channels, f->hop = rate / HOPS;
    f->edge = edge_bin(edge, rate);
    f->frames = f->newest = f->findings = 0;
    f->held = OVERLAP * f->hop; /* zeros before the signal */
    clear(f->x, (long)channels * size);
    return f;
}

static void add_spectrum(Spectrum *sum, const Spectrum *s, int bins)
{
    sum->count += s->count;
    EACH(k, bins) {
        sum->power[k] += s->power[k];
        sum->exponent[k] += s->exponent[k];
        multiply(sum, k, s->mantissa[k]);
    }
}

/* Whether there is plainly sound above a bin, in the levels that find_edge has found. */
static int goes_on(const Finder *f, const Spectrum *s, int edge)
{
    return s->count && edge < f->bins - 3 && (edge < 10 || fall(f, f->loud, f->highest[0], edge) < FALL / 2);
}

static void look(novasr_follow *f)
{
    int bins = f->finder.bins;
    begin_spectrum(&f->total, bins);
    EACH(i, LOOKS_BACK) add_spectrum(&f->total, &f->spectra[i], bins);
    f->newest = (f->newest + 1) % LOOKS_BACK;
    begin_spectrum(&f->spectra[f->newest], bins);
    f->frames = 0;

    int found = find_edge(&f->finder, &f->total);
    if (found < 0)
        found = goes_on(&f->finder, &f->total, f->edge) ? bins : f->edge;
    EACH(i, TIMES - 1) f->found[i] = f->found[i + 1];
    f->found[TIMES - 1] = found;
    if (f->findings < TIMES && ++f->findings < TIMES)
        return;
    int lowest = found, highest = found;
    EACH(i, TIMES) {
        lowest = f->found[i] < lowest ? f->found[i] : lowest;
        highest = f->found[i] > highest ? f->found[i] : highest;
    }
    if (highest - lowest <= WITHIN && (found < f->edge - DOWN || found > f->edge + UP))
        f->edge = found;
}

static void add_frame(novasr_follow *f) /* of each channel */
{
    int size = f->finder.transform.size;
    for (int first = 0; first < f->channels; first += FRAMES) {
        const float *frames[FRAMES];
        int count = f->channels - first < FRAMES ? f->channels - first : FRAMES;
        EACH(i, count) frames[i] = f->x + (long)(first + i) * size;
        add_frames(&f->finder, &f->spectra[f->newest], frames, count);
    }
    f->held -= f->hop;
    EACH(c, f->channels) copy(f->x + (long)c * size, f->x + (long)c * size + f->hop, f->held);
    f->frames++;
}

long novasr_follow_push(novasr_follow *f, const float *const *x, long count)
{
    long took = 0, size = f->finder.transform.size;
    u64 before = flush_denormals();
    while (took < count && f->frames < EVERY) {
        long some = count - took < size - f->held ? count - took : size - f->held;
        EACH(c, f->channels) copy(f->x + c * size + f->held, x[c] + took, some);
        f->held += some, took += some;
        if (f->held == size)
            add_frame(f);
    }
    if (f->frames == EVERY)
        look(f);
    restore(before);
    return took;
}

int novasr_follow_edge(const novasr_follow *f)
{
    return f->edge * BIN;
}
