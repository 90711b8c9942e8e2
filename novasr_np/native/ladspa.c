/* The voice as a LADSPA plugin: novasr_mono and novasr_stereo.
 *
 * build.py compiles this with engine.c; it writes weights.h from the package's weights. LADSPA is a
 * struct and a function. Both are declared here from the text of its version 1.1, in our own words; no
 * line of its header is used, and a test compares the two where that is installed.
 */
#include <stdlib.h>

#include "voice.h"

/* airband_weights[] and novasr_weights[], unsigned char */
#include "weights.h"

/* ---- LADSPA 1.1 ------------------------------------------------------------------------------ */

enum { /* of a port */
    LADSPA_INPUT = 1, LADSPA_OUTPUT = 2, LADSPA_CONTROL = 4, LADSPA_AUDIO = 8
};

enum { /* of a port's values */
    LADSPA_BOUNDED = 1 | 2, LADSPA_INTEGER = 32, LADSPA_DEFAULT_0 = 512
};

enum { LADSPA_HARD_REAL_TIME = 4 }; /* of a plugin */

typedef struct { int hints; float lowest, highest; } ladspa_range;

typedef struct ladspa_plugin {
    unsigned long id;
    const char *label;
    int properties;
    const char *name, *maker, *copyright;
    unsigned long port_count;
    const int *ports;
    const char *const *port_names;
    const ladspa_range *ranges;
    void *own;
    void *(*instantiate)(const struct ladspa_plugin *, unsigned long rate);
    void (*connect_port)(void *, unsigned long port, float *);
    void (*activate)(void *);
    void (*run)(void *, unsigned long count);
    void (*run_adding)(void *, unsigned long count);
    void (*set_run_adding_gain)(void *, float);
    void (*deactivate)(void *);
    void (*cleanup)(void *);
} ladspa_plugin;

__attribute__((visibility("default"))) const ladspa_plugin *ladspa_descriptor(unsigned long index);

/* ---- the plugin ------------------------------------------------------------------------------ */

enum { EDGE, HIGHS, NETWORK, LATENCY, AUDIO, STEREO = 2, PORTS = AUDIO + 2 * STEREO };

enum { SETTING = LADSPA_INPUT | LADSPA_CONTROL };

/* The controls, then an input and an output of each channel: the first six are those of a mono plugin. */
static const int ports[PORTS] = {
    SETTING, SETTING, SETTING, LADSPA_OUTPUT | LADSPA_CONTROL,
    LADSPA_INPUT | LADSPA_AUDIO, LADSPA_OUTPUT | LADSPA_AUDIO, LADSPA_INPUT | LADSPA_AUDIO, LADSPA_OUTPUT | LADSPA_AUDIO
};
static const char *const port_names[PORTS] = {
    "Edge (Hz)", "Highs (dB)", "Network", "latency",
    "Input", "Output", "Input right", "Output right"
};
static const ladspa_range ranges[PORTS] = {
    [EDGE] = {LADSPA_BOUNDED | LADSPA_DEFAULT_0, 0, 24000},
    [HIGHS] = {LADSPA_BOUNDED | LADSPA_DEFAULT_0, -60, 12},
    [NETWORK] = {LADSPA_BOUNDED | LADSPA_INTEGER | LADSPA_DEFAULT_0, 0, 1}
};

typedef struct {
    int channels;
    void *memory; /* of the voice; that of its state follows here */
    novasr_voice_state *state;
    float *ports[PORTS];
} Instance;

static void cleanup(void *handle)
{
    Instance *p = handle;
    free(p->memory);
    free(p);
}

static void *instantiate(const ladspa_plugin *plugin, unsigned long rate)
{
    static const novasr_voice_weights weights = {
        airband_weights, novasr_weights, sizeof airband_weights, sizeof novasr_weights
    };
    int channels = (int)(plugin->port_count - AUDIO) / 2, hertz = rate < 1000000 ? (int)rate : 0;
    size_t bytes = novasr_voice_bytes(hertz), head = (sizeof(Instance) + 63) / 64 * 64;
    void *memory = bytes ? aligned_alloc(64, bytes) : 0;
    const novasr_voice *voice = memory ? novasr_voice_make(memory, hertz, &weights) : 0;
    Instance *p = voice ? aligned_alloc(64, head + novasr_voice_state_bytes(voice, channels)) : 0;
    if (!p) {
        free(memory);
        return 0;
    }
    *p = (Instance){.channels = channels, .memory = memory};
    p->state = novasr_voice_begin((char *)p + head, voice, channels);
    return p;
}

static void connect_port(void *handle, unsigned long port, float *data)
{
    ((Instance *)handle)->ports[port] = data;
}

static void activate(void *handle)
{
    novasr_voice_reset(((Instance *)handle)->state);
}

/* A control; 0, which is its default, if it is not connected or no number. */
static float control(const Instance *p, int port)
{
    const float *value = p->ports[port];
    return value && *value > -1e6f && *value < 1e6f ? *value : 0;
}

static void run(void *handle, unsigned long count)
{
    Instance *p = handle;
    const float *x[STEREO];
    float *y[STEREO];
    for (int c = 0; c < p->channels; c++) {
        x[c] = p->ports[AUDIO + 2 * c];
        y[c] = p->ports[AUDIO + 2 * c + 1];
    }
    int network = control(p, NETWORK) > 0.5f ? NOVASR_NOVASR : NOVASR_AIRBAND_LIVE;
    novasr_voice_set(p->state, network, (int)control(p, EDGE), control(p, HIGHS));
    if (p->ports[LATENCY])
        *p->ports[LATENCY] = (float)novasr_voice_latency(p->state);
    novasr_voice_run(p->state, x, y, (long)count);
}

/* No number is registered for them; hosts go by file and label. */
static const ladspa_plugin plugins[] = {
#define PLUGIN(number, channels, of) { \
        number, "novasr_" of, LADSPA_HARD_REAL_TIME, "Speech super-resolution, " of, "novasr-np", \
        "Apache-2.0; weights: CC BY-SA 4.0", AUDIO + 2 * channels, ports, port_names, ranges, 0, \
        instantiate, connect_port, activate, run, 0, 0, 0, cleanup}
    PLUGIN(0x4E5352, 1, "mono"), PLUGIN(0x4E5353, STEREO, "stereo")
};

const ladspa_plugin *ladspa_descriptor(unsigned long index)
{
    return index < sizeof plugins / sizeof *plugins ? &plugins[index] : 0;
}
