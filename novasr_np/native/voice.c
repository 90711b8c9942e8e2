/* A host's sound, as voice.h says. */
#include "voice.h"

enum {
    SLOWEST_HOST = 8000, FASTEST_HOST = 192000, /* Hz */
    OUT = 48000,
    NOVASR_RATE = 16000, NOVASR_END = 8000, NOVASR_SKIPS = 9000, /* Hz: input; its end; where nothing is made */
    MOST_CHANNELS = 8, LEAST_HIGHS = -60, MOST_HIGHS = 12, /* dB */
    GAIN_STEPS = 20 /* from one gain to another that is 1 away */
};

static const float LOUDEST = 1000;
static const double LN10 = 2.302585092994046;

/* What depends on the network. A quantum is the samples of the host that are computed at a time: for
 * airband a hop, if it hears the host's own. */
typedef struct { const novasr_model *model; long quantum, latency, ring; } Path;

struct novasr_voice {
    int rate, heard; /* of the host; of what airband and the follower hear, which is the host's if it can be */
    int highest;     /* edge of what they hear, Hz, if the filter before them makes one, or 0 */
    Path airband, novasr;
    const novasr_filter *front, *narrow, *back; /* to what is heard, to NovaSR, to the host; NULL for equal rates */
    const novasr_crossover *crossover;
};

/* In `added` stands what is to be added to x: at first minus the part of x that the network's output holds,
 * which is all of it up to 48 kHz, and then that output as well. Both are rings. */
typedef struct {
    novasr_filter_state *front, *narrow, *back, *own; /* own: of what is heard, to the host above 48 kHz */
    novasr_crossover_state *crossover;
    novasr_state *airband, *novasr;
    float *x, *added, *heard;
    long subtracted, made; /* places in `added` */
} VoiceChannel;

struct novasr_voice_state {
    const novasr_voice *voice;
    const Path *path;       /* of the network that runs */
    int channels, begun;
    long taken, given;      /* places in the rings */
    const Path *wanted;
    int edge;               /* Hz, 0 to follow */
    float gain, gain_now;
    float share, level;     /* of what is added; of the output, while networks change */
    long silent;            /* outputs that are still to be silent then */
    long ahead;             /* of NovaSR's crossover */
    void *follow_memory, *work;
    novasr_follow *follow;
    float *y, *crossed, *to_host; /* in passing */
    VoiceChannel channel[MOST_CHANNELS];
};

/* ---- what is made once ----------------------------------------------------------------------- */

static int heard_rate(int rate)
{
    return novasr_takes(NOVASR_AIRBAND_LIVE, rate) ? rate : OUT;
}

/* Whether a filter is none, for equal rates, or not refused. */
static int filter_size(int design, int rate, int new_rate, size_t *bytes)
{
    *bytes = rate == new_rate ? 0 : novasr_filter_bytes(design, 0, rate, new_rate);
    return rate == new_rate || *bytes;
}

static double novasr_keeps(int rate)
{
    return novasr_crossover_highest(rate, OUT, NOVASR_END);
}

/* Sizes of its parts, in the order in which they lie; 0 for a rate that is not taken. */
static int voice_parts(int rate, size_t parts[7])
{
    parts[0] = padded(sizeof(novasr_voice));
    parts[1] = novasr_model_bytes(NOVASR_AIRBAND_LIVE);
    parts[2] = novasr_model_bytes(NOVASR_NOVASR);
    parts[3] = novasr_crossover_bytes(novasr_keeps(rate), rate, OUT);
    return rate >= SLOWEST_HOST && rate <= FASTEST_HOST && parts[3]
        && filter_size(NOVASR_STEEP, rate, heard_rate(rate), &parts[4])
        && filter_size(NOVASR_UPSTREAM, rate, NOVASR_RATE, &parts[5])
        && filter_size(NOVASR_STEEP, OUT, rate, &parts[6]);
}

size_t novasr_voice_bytes(int rate)
{
    size_t parts[7], sum = 0;
    if (!voice_parts(rate, parts))
        return 0;
    EACH(i, 7) sum += parts[i];
    return sum;
}

static long in_host(const novasr_voice *v, long samples, int rate) /* rounded up */
{
    return (long)(((long long)samples * v->rate + rate - 1) / rate);
}

static const novasr_filter *made_filter(byte *at, size_t size, int design, int rate, int new_rate)
{
    return size ? novasr_filter_make(at, design, 0, rate, new_rate) : 0;
}

static long delay(const novasr_filter *f) /* samples of its input */
{
    return f ? novasr_filter_latency(f) : 0;
}

/* The last sample of a quantum waits for nothing, the first for all the others. */
static void finish(const novasr_voice *v, Path *p, long quantum, long delayed)
{
    p->quantum = quantum;
    p->latency = quantum - 1 + delayed + in_host(v, delay(v->back), OUT);
    p->ring = (p->latency + 2 * quantum - 1) / quantum * quantum;
}

const novasr_voice *novasr_voice_make(void *memory, int rate, const novasr_voice_weights *w)
{
    novasr_voice *v = memory;
    size_t parts[7];
    byte *at[7];
    int heard = heard_rate(rate);
    if (!aligned(memory) || !voice_parts(rate, parts) || !novasr_takes(novasr_kind(w->airband, w->airband_size), heard)
        || novasr_kind(w->novasr, w->novasr_size) != NOVASR_NOVASR)
        return 0;
    at[0] = memory;
    EACH(i, 6) at[i + 1] = at[i] + parts[i];
    v->rate = rate, v->heard = heard;
    v->airband.model = novasr_load(at[1], w->airband, w->airband_size, heard);
    v->novasr.model = novasr_load(at[2], w->novasr, w->novasr_size, NOVASR_RATE);
    v->crossover = novasr_crossover_make(at[3], novasr_keeps(rate), rate, OUT);
    v->front = made_filter(at[4], parts[4], NOVASR_STEEP, rate, heard);
    v->highest = rate < heard ? (int)novasr_filter_passes(v->front) : 0;
    v->narrow = made_filter(at[5], parts[5], NOVASR_UPSTREAM, rate, NOVASR_RATE);
    v->back = made_filter(at[6], parts[6], NOVASR_STEEP, OUT, rate);

    int millisecond = rate / 1000, hop = heard / HOPS;
    long airband = novasr_latency(v->airband.model), novasr = novasr_latency(v->novasr.model);
    if (v->front)
        finish(v, &v->airband, millisecond, delay(v->front) + in_host(v, airband + hop - 1, heard));
    else
        finish(v, &v->airband, hop, airband);
    finish(v, &v->novasr, millisecond,
        delay(v->narrow) + in_host(v, novasr, NOVASR_RATE) + novasr_crossover_latency(v->crossover));
    return v;
}

/* ---- a sound --------------------------------------------------------------------------------- */

static long filter_room(const novasr_filter *f, long count)
{
    return f ? novasr_filter_room(f, count) : count;
}

static long larger(long a, long b)
{
    return a > b ? a : b;
}

static void *part(byte *memory, size_t *used, size_t bytes)
{
    void *at = memory ? memory + *used : 0;
    *used += padded(bytes);
    return at;
}

static float *samples(byte *memory, size_t *used, long count)
{
    return part(memory, used, sizeof(float) * (size_t)count);
}

static novasr_filter_state *filter_part(byte *memory, size_t *used, const novasr_filter *f)
{
    return f ? novasr_filter_begin(part(memory, used, novasr_filter_state_bytes(f)), f) : 0;
}

static novasr_state *state_part(byte *memory, size_t *used, const novasr_model *m)
{
    return novasr_begin(part(memory, used, novasr_state_bytes(m)), m);
}

/* Place the parts of a state in its memory; give how much they take, also without memory. */
static size_t arrange(novasr_voice_state *s, byte *memory)
{
    const novasr_voice *v = s->voice;
    size_t used = padded(sizeof *s);
    long quantum = larger(v->airband.quantum, v->novasr.quantum), ring = larger(v->airband.ring, v->novasr.ring);
    long heard = filter_room(v->front, quantum), narrow = filter_room(v->narrow, quantum);
    s->ahead = delay(v->narrow) + in_host(v, CONTEXT, NOVASR_RATE) + 2 * quantum;
    long crossed = most_waiting(v->crossover, s->ahead); /* a push gives no more */
    long y = larger(novasr_room(v->airband.model, heard), novasr_room(v->novasr.model, narrow));
    s->follow_memory = part(memory, &used, novasr_follow_bytes(v->heard, s->channels));
    s->work = part(memory, &used, larger(novasr_work_bytes(v->airband.model), novasr_work_bytes(v->novasr.model)));
    s->y = samples(memory, &used, y);
    s->crossed = samples(memory, &used, crossed);
    s->to_host = samples(memory, &used, larger(filter_room(v->back, larger(y, crossed)), narrow));
    EACH(c, s->channels) {
        VoiceChannel *h = &s->channel[c];
        h->front = filter_part(memory, &used, v->front);
        h->narrow = filter_part(memory, &used, v->narrow);
        h->back = filter_part(memory, &used, v->back);
        h->own = filter_part(memory, &used, v->rate > OUT ? v->back : 0);
        h->crossover = novasr_crossover_begin(
            part(memory, &used, novasr_crossover_state_bytes(v->crossover, s->ahead)), v->crossover, s->ahead);
        h->airband = state_part(memory, &used, v->airband.model);
        h->novasr = state_part(memory, &used, v->novasr.model);
        h->x = samples(memory, &used, ring);
        h->added = samples(memory, &used, ring);
        h->heard = v->front ? samples(memory, &used, heard) : 0;
    }
    return used;
}

size_t novasr_voice_state_bytes(const novasr_voice *voice, int channels)
{
    novasr_voice_state counted = {.voice = voice, .channels = channels};
    return channels < 1 || channels > MOST_CHANNELS ? 0 : arrange(&counted, 0);
}

/* Begin with another network, or once more with the same; the edge is followed on. */
static void restart(novasr_voice_state *s, const Path *path)
{
    novasr_filter_state *filters[4];
    s->path = path;
    s->taken = 0;
    s->given = path->ring - path->latency;
    EACH(c, s->channels) {
        VoiceChannel *h = &s->channel[c];
        filters[0] = h->front, filters[1] = h->narrow, filters[2] = h->back, filters[3] = h->own;
        EACH(i, 4)
            if (filters[i])
                novasr_filter_reset(filters[i]);
        novasr_crossover_reset(h->crossover);
        novasr_reset(h->airband);
        novasr_reset(h->novasr);
        clear(h->x, path->ring);
        clear(h->added, path->ring);
        h->subtracted = h->made = 0;
    }
}

novasr_voice_state *novasr_voice_begin(void *memory, const novasr_voice *voice, int channels)
{
    novasr_voice_state *s = memory;
    if (!aligned(memory) || !voice || channels < 1 || channels > MOST_CHANNELS)
        return 0;
    *s = (novasr_voice_state){.voice = voice, .channels = channels, .wanted = &voice->airband, .gain = 1};
    arrange(s, memory);
    novasr_voice_reset(s);
    return s;
}

void novasr_voice_reset(novasr_voice_state *s)
{
    s->follow = novasr_follow_begin(s->follow_memory, s->voice->heard, s->channels, s->voice->highest);
    s->begun = 0;
    s->level = 1;
    s->silent = 0;
    restart(s, s->wanted);
}

static int edge_now(const novasr_voice_state *s)
{
    int highest = s->voice->highest;
    return !s->edge ? novasr_follow_edge(s->follow) : highest && s->edge > highest ? highest : s->edge;
}

static float share_wanted(const novasr_voice_state *s)
{
    return s->path == &s->voice->airband || edge_now(s) <= NOVASR_SKIPS;
}

void novasr_voice_set(novasr_voice_state *s, int network, int edge, float highs)
{
    s->wanted = network == NOVASR_NOVASR ? &s->voice->novasr : &s->voice->airband;
    s->edge = edge <= 0 ? 0 : edge < OUT / 2 ? edge : OUT / 2;
    s->gain = highs > LEAST_HIGHS ? (float)exp_of((highs < MOST_HIGHS ? highs : MOST_HIGHS) * LN10 / 20) : 0;
}

long novasr_voice_latency(const novasr_voice_state *s)
{
    return s->wanted->latency;
}

/* ---- a quantum ------------------------------------------------------------------------------- */

static void add(VoiceChannel *h, const Path *p, long *place, const float *y, long count, float factor)
{
    for (long i = 0; i < count; i++) {
        h->added[*place] += factor * y[i];
        *place = *place + 1 < p->ring ? *place + 1 : 0;
    }
}

/* The network's samples, at 48 kHz, go to the host. */
static void give(novasr_voice_state *s, VoiceChannel *h, const float *y, long count)
{
    if (h->back) {
        count = novasr_filter_push(h->back, y, count, 0, s->to_host);
        y = s->to_host;
    }
    add(h, s->path, &h->made, y, count, 1);
}

static void run_novasr(novasr_voice_state *s, VoiceChannel *h, const float *x, long count)
{
    const float *narrow = x;
    long came = count;
    if (h->narrow) {
        came = novasr_filter_push(h->narrow, x, count, 0, s->to_host);
        narrow = s->to_host;
    }
    long made = novasr_push(h->novasr, s->work, narrow, came, 0, s->y);
    made = novasr_crossover_push(h->crossover, x, count, s->y, made, s->gain_now, 0, s->crossed);
    give(s, h, s->crossed, made);
}

static float towards(float x, float end, float step)
{
    return x < end - step ? x + step : x > end + step ? x - step : end;
}

/* Compute the quantum that begins at a place of the ring. */
static void compute(novasr_voice_state *s, long at)
{
    const novasr_voice *v = s->voice;
    const float *heard[MOST_CHANNELS];
    long quantum = s->path->quantum, count = quantum;
    int is_airband = s->path == &v->airband;
    s->gain_now = towards(s->gain_now, s->gain, 1.0f / GAIN_STEPS);
    EACH(c, s->channels) {
        VoiceChannel *h = &s->channel[c];
        heard[c] = h->x + at;
        if (h->front) {
            count = novasr_filter_push(h->front, h->x + at, quantum, 0, h->heard);
            heard[c] = h->heard;
        }
        const float *own = h->x + at;
        long owned = quantum;
        if (h->own) {
            owned = novasr_filter_push(h->own, h->heard, count, 0, s->to_host);
            own = s->to_host;
        }
        add(h, s->path, &h->subtracted, own, owned, -1);
    }
    for (long took; count; count -= took) {
        int edge = edge_now(s);
        took = novasr_follow_push(s->follow, heard, count);
        EACH(c, s->channels) {
            VoiceChannel *h = &s->channel[c];
            if (is_airband) {
                novasr_edge(h->airband, edge);
                novasr_gain(h->airband, s->gain);
                give(s, h, s->y, novasr_push(h->airband, s->work, heard[c], took, 0, s->y));
            }
            heard[c] += took;
        }
    }
    if (!is_airband)
        EACH(c, s->channels) run_novasr(s, &s->channel[c], s->channel[c].x + at, quantum);
}

/* ---- a block --------------------------------------------------------------------------------- */

static void take_samples(VoiceChannel *h, long at, const float *x, long count)
{
    for (long i = 0; i < count; i++) {
        h->x[at + i] = x[i] >= -LOUDEST && x[i] <= LOUDEST ? x[i] : 0;
        h->added[at + i] = 0;
    }
}

/* Write outputs from `at` on in each channel. */
static void write(novasr_voice_state *s, float *const *y, long at, long count)
{
    float step = 100.0f / (float)s->voice->rate, share = share_wanted(s), level = s->wanted == s->path;
    for (long i = 0; i < count; i++) {
        s->share = towards(s->share, share, step);
        if (s->silent)
            s->silent--;
        else
            s->level = towards(s->level, level, step);
        EACH(c, s->channels) {
            const VoiceChannel *h = &s->channel[c];
            y[c][at + i] = s->level * (h->x[s->given] + s->share * h->added[s->given]);
        }
        s->given = s->given + 1 < s->path->ring ? s->given + 1 : 0;
    }
}

/* What was set before the first sample holds from there on, with nothing to be faded. */
static void begin(novasr_voice_state *s)
{
    if (s->path != s->wanted)
        restart(s, s->wanted);
    s->begun = 1;
    s->gain_now = s->gain;
    s->share = share_wanted(s);
}

/* Another network begins, behind the silence that the last one has faded to. */
static void change(novasr_voice_state *s)
{
    restart(s, s->wanted);
    s->silent = s->path->latency;
    s->share = share_wanted(s);
}

void novasr_voice_run(novasr_voice_state *s, const float *const *x, float *const *y, long count)
{
    u64 before = flush_denormals();
    if (!s->begun && count > 0)
        begin(s);
    for (long done = 0, some; done < count; done += some) {
        if (s->taken % s->path->quantum == 0 && s->path != s->wanted && !(s->level > 0))
            change(s);
        long quantum = s->path->quantum, into = s->taken % quantum;
        some = count - done < quantum - into ? count - done : quantum - into;
        EACH(c, s->channels) take_samples(&s->channel[c], s->taken, x[c] + done, some);
        s->taken += some;
        if (into + some == quantum)
            compute(s, s->taken - quantum);
        if (s->taken == s->path->ring)
            s->taken = 0;
        write(s, y, done, some);
    }
    restore(before);
}
