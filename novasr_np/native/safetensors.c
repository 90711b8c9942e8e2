/* Weights out of a safetensors file, of which nothing is believed unseen. */
typedef struct { const char *at, *end; } Text;

static int next(Text *t) /* the next character that is no blank; 0 at the end */
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
    return t->at < t->end ? (byte)*t->at : 0;
}

static int take(Text *t, char c)
{
    if (next(t) != (byte)c)
        return 0;
    t->at++;
    return 1;
}

static int string(Text *t, Text *content)
{
    if (!take(t, '"'))
        return 0;
    content->at = t->at;
    while (t->at < t->end && *t->at != '"')
        t->at += *t->at == '\\' && t->end - t->at > 1 ? 2 : 1;
    content->end = t->at;
    return take(t, '"');
}

static int begins(Text *t, const char *word) /* t goes on behind what is equal */
{
    while (t->at < t->end && *word && *t->at == *word)
        t->at++, word++;
    return !*word;
}

static int equal(Text t, const char *word)
{
    return begins(&t, word) && t.at == t.end;
}

static int number(Text *t, u64 *value)
{
    int digits = 0;
    next(t);
    for (*value = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9' && digits < 18; digits++)
        *value = *value * 10 + (u64)(*t->at++ - '0');
    return digits > 0;
}

static int numbers(Text *t, u64 *values, int most) /* [1, 2]: how many; -1 if they are no such list */
{
    int count = 0;
    if (!take(t, '['))
        return -1;
    if (take(t, ']'))
        return 0;
    do
        if (count == most || !number(t, &values[count++]))
            return -1;
    while (take(t, ','));
    return take(t, ']') ? count : -1;
}

static int skip(Text *t) /* any value */
{
    int depth = 0;
    Text ignored;
    do {
        int c = next(t);
        if (c == '"') {
            if (!string(t, &ignored))
                return 0;
        } else if (!c) {
            return 0;
        } else {
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
            t->at++;
        }
        /* Behind a key, a colon or a comma more has to come. */
        while (!depth && next(t) && *t->at != ',' && *t->at != '}' && *t->at != ']')
            t->at++;
    } while (depth > 0);
    return depth == 0;
}

typedef struct { const byte *bytes; size_t size; } File;

static int header(File f, Text *t, const byte **data, u64 *bytes)
{
    u64 length = 0;
    if (!f.bytes || f.size < 10)
        return 0;
    EACH(i, 8)
        length |= (u64)f.bytes[i] << 8 * i;
    if (length > f.size - 8)
        return 0;
    t->at = (const char *)f.bytes + 8;
    t->end = t->at + length;
    *data = f.bytes + 8 + length;
    *bytes = f.size - 8 - length;
    return 1;
}

static float half(u32 h)
{
    u32 exponent = h >> 10 & 31, fraction = h & 1023;
    float x = exponent ? (float)((fraction + 1024) * scale2((int)exponent - 25))
                       : (float)(fraction * scale2(-24));
    union { u32 bits; float value; } special = {0x7F800000 | fraction << 13};
    x = exponent == 31 ? special.value : x;
    return h >> 15 ? -x : x;
}

typedef struct { const byte *at; int width; } Values; /* the first, and bytes of each */

/* Find the tensor called `name` and `more`: whether it is there, of that shape (ending in 0), and within
 * the file. */
static int find(File f, const char *name, const char *more, const int *shape, Values *found)
{
    Text t, key, field, type = {0, 0};
    const byte *data;
    u64 bytes, dims[4], place[2], count = 1;
    if (!header(f, &t, &data, &bytes) || !take(&t, '{'))
        return 0;
    do { /* over tensors */
        if (!string(&t, &key) || !take(&t, ':'))
            return 0;
        if (!begins(&key, name) || !equal(key, more)) {
            if (!skip(&t))
                return 0;
            continue;
        }
        int rank = -1, places = -1;
        if (!take(&t, '{'))
            return 0;
        do { /* over its fields */
            if (!string(&t, &field) || !take(&t, ':'))
                return 0;
            if (equal(field, "dtype") ? !string(&t, &type)
                : equal(field, "shape") ? (rank = numbers(&t, dims, 4)) < 0
                : equal(field, "data_offsets") ? (places = numbers(&t, place, 2)) < 0
                : !skip(&t))
                return 0;
        } while (take(&t, ','));
        EACH(i, 4) {
            if (!shape[i] ? rank != i : i >= rank || dims[i] != (u64)shape[i])
                return 0;
            if (!shape[i])
                break;
            count *= (u64)shape[i];
        }
        u64 width = !type.at ? 0 : equal(type, "I8") ? 1 : equal(type, "F16") ? 2 : equal(type, "F32") ? 4 : 0;
        if (!width || places != 2 || place[0] > place[1] || place[1] > bytes
            || place[1] - place[0] != count * width)
            return 0;
        *found = (Values){data + place[0], (int)width};
        return 1;
    } while (take(&t, ','));
    return 0;
}

/* Values, and of those in 8 bits the factor of each row of `row` values. */
typedef struct { Values values, scales; int row; } Tensor;

static int tensor(File f, const char *name, const int *shape, Tensor *found)
{
    const int rows[] = {shape[0], 0};
    found->row = 1;
    for (const int *size = shape + 1; *size; size++)
        found->row *= *size;
    return find(f, name, "", shape, &found->values)
        && (found->values.width > 1 || (find(f, name, "_scale", rows, &found->scales) && found->scales.width > 1));
}

static float number_at(Values v, int i)
{
    const byte *b = v.at + (long)i * v.width;
    if (v.width == 1)
        return (float)(signed char)b[0];
    union { u32 bits; float value; } x = {b[0] | (u32)b[1] << 8};
    if (v.width == 2)
        return half(x.bits);
    x.bits |= (u32)b[2] << 16 | (u32)b[3] << 24;
    return x.value;
}

static float value(Tensor t, int i)
{
    float x = number_at(t.values, i);
    return t.values.width == 1 ? x * number_at(t.scales, i / t.row) : x;
}

static const char *joined(char *to, const char *a, int digit, const char *b)
{
    char *at = to;
    while (*a)
        *at++ = *a++;
    *at++ = (char)('0' + digit);
    while ((*at++ = *b++))
        ;
    return to;
}
