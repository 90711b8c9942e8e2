/* The door, as engine.h says, and the one file to compile: it includes the others, so that all of it is
 * one object in which nothing but the doors, engine.h and rates.h, has a name. */
#include "engine.h"

struct novasr_model { int kind, rate; };
struct novasr_state { const novasr_model *model; };

#include "vector.h"

#include "safetensors.c"

#include "airband.c"
#include "novasr.c"

enum { ALIGNED = 64 };

int novasr_kind(const byte *weights, size_t size)
{
    static const int frames[] = {BLOCKS + 1, 0};
    File f = {weights, size};
    NovaSRTensors novasr;
    AirbandTensors airband;
    Tensor ahead;
    if (find_novasr(f, &novasr))
        return NOVASR_NOVASR;
    if (find_airband(f, &airband))
        return tensor(f, "look_ahead.frames", frames, &ahead) ? NOVASR_AIRBAND_LIVE : NOVASR_AIRBAND;
    return NOVASR_NONE;
}

int novasr_takes(int kind, int rate)
{
    return kind == NOVASR_NOVASR ? rate == 16000
        : kind && rate >= LOWEST_RATE && rate <= HIGHEST_RATE && rate % HOPS == 0;
}

static size_t padded(size_t bytes)
{
    return (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
}

static int aligned(const void *memory)
{
    return memory && (size_t)memory % ALIGNED == 0;
}

size_t novasr_model_bytes(int kind)
{
    return padded(kind == NOVASR_NOVASR ? sizeof(NovaSR) : kind ? sizeof(Airband) : 0);
}

const novasr_model *novasr_load(void *memory, const byte *weights, size_t size, int rate)
{
    int kind = novasr_kind(weights, size);
    File f = {weights, size};
    if (!aligned(memory) || !novasr_takes(kind, rate))
        return 0;
    if (kind == NOVASR_NOVASR) {
        NovaSRTensors tensors;
        find_novasr(f, &tensors);
        load_novasr(&tensors, memory);
        fold_novasr(memory);
    } else {
        AirbandTensors tensors;
        find_airband(f, &tensors);
        load_airband(&tensors, memory);
        prepare_airband(memory, rate, kind == NOVASR_AIRBAND_LIVE);
    }
    novasr_model *model = memory;
    *model = (novasr_model){kind, rate};
    return model;
}

size_t novasr_state_bytes(const novasr_model *m)
{
    return padded(m->kind == NOVASR_NOVASR ? sizeof(NovaSRState)
        : sizeof(AirbandState) + sizeof(float) * (size_t)airband_samples((const Airband *)m));
}

size_t novasr_work_bytes(const novasr_model *m)
{
    return padded(m->kind == NOVASR_NOVASR ? sizeof(NovaSRWork) : sizeof(AirbandWork));
}

long novasr_latency(const novasr_model *m)
{
    const Airband *a = (const Airband *)m;
    return m->kind == NOVASR_NOVASR ? BEHIND : (long)(a->frames_ahead + OVERLAP) * a->hop;
}

long novasr_room(const novasr_model *m, long count)
{
    long hop = m->rate / HOPS;
    return m->kind == NOVASR_NOVASR ? 3 * (count + CONTEXT)
        : (count + novasr_latency(m) + 2 * hop) / hop * (SIZE / 4);
}

novasr_state *novasr_begin(void *memory, const novasr_model *model)
{
    novasr_state *state = memory;
    if (!aligned(memory))
        return 0;
    state->model = model;
    novasr_edge(state, 0);
    novasr_gain(state, 1);
    novasr_reset(state);
    return state;
}

void novasr_reset(novasr_state *state)
{
    if (state->model->kind == NOVASR_NOVASR)
        begin_novasr((NovaSRState *)state);
    else
        begin_airband((const Airband *)state->model, (AirbandState *)state);
}

static int edge_bin(int edge, int rate)
{
    int half = rate / 2, hertz = edge ? edge : half;
    hertz = hertz < LOWEST_EDGE ? LOWEST_EDGE : hertz > half ? half : hertz;
    int bin = hertz / BIN, rest = hertz % BIN;
    return bin + (2 * rest > BIN || (2 * rest == BIN && bin % 2)); /* as Python rounds */
}

void novasr_edge(novasr_state *state, int edge)
{
    if (state->model->kind != NOVASR_NOVASR)
        ((AirbandState *)state)->edge = edge_bin(edge, state->model->rate);
}

void novasr_gain(novasr_state *state, float gain)
{
    if (state->model->kind != NOVASR_NOVASR)
        ((AirbandState *)state)->gain = gain > 0 ? gain : 0;
}

/* Denormal numbers take a processor a hundred times as long, and nobody hears them. */
#ifdef __SSE__
static u64 flush_denormals(void)
{
    u32 before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040); /* results, and operands */
    return before;
}

static void restore(u64 before)
{
    __builtin_ia32_ldmxcsr((u32)before);
}
#elif defined __aarch64__ || (defined __arm__ && defined __ARM_FP)
#ifdef __aarch64__
typedef u64 Control;
#define READ "mrs %0, fpcr"
#define WRITE "msr fpcr, %0"
#else
typedef u32 Control;
#define READ "vmrs %0, fpscr"
#define WRITE "vmsr fpscr, %0"
#endif

static u64 flush_denormals(void)
{
    Control before;
    __asm__ volatile(READ : "=r"(before));
    __asm__ volatile(WRITE : : "r"(before | 1 << 24) : "memory");
    return before;
}

static void restore(u64 before)
{
    __asm__ volatile(WRITE : : "r"((Control)before) : "memory");
}
#else
static u64 flush_denormals(void)
{
    return 0;
}

static void restore(u64 before)
{
    (void)before;
}
#endif

long novasr_push(novasr_state *state, void *work, const float *x, long count, int last, float *y)
{
    const novasr_model *model = state->model;
    u64 before = flush_denormals();
    long made = model->kind == NOVASR_NOVASR
        ? push_novasr((const NovaSR *)model, (NovaSRState *)state, work, x, count, last, y)
        : push_airband((const Airband *)model, (AirbandState *)state, work, x, count, last, y);
    restore(before);
    if (last)
        novasr_reset(state);
    return made;
}

/* What stands around a network. */
#include "rates.c"

#include "band.c"

#ifndef __wasm__ /* the page has no use for these */
#include "follow.c"

#include "voice.c"
#endif
