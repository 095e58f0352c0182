// What resample_plain.cpp, resample_avx2.cpp and resample_avx512.cpp compile, each after defining, in an anonymous
// namespace, `Lanes`: how many values are worked on at once, and what the language has no operators for. They are
// compiled for a processor each, so nothing here may be a function that the linker could share with other files: no
// templates or inline functions of the standard library.

template <class T>
using Vector __attribute__((vector_size(Lanes::kCount * sizeof(T)))) = T;
using Floats = Vector<float>;
using Ints = Vector<int32_t>;

constexpr int64_t kLanes = Lanes::kCount;
// Vectors that are summed up side by side, so that a weight is loaded once for all of them.
constexpr int64_t kAbreast = 4;
constexpr int64_t kStrip = kAbreast * kLanes;
// Columns that levels are turned and narrowed by.
constexpr int64_t kLevels = 16;

template <class T>
SILC_INLINE Vector<T> load(const T* from) {
  Vector<T> vector;
  __builtin_memcpy(&vector, from, sizeof vector);
  return vector;
}

template <class V, class T>
SILC_INLINE void store(const V& vector, T* into) {
  static_assert(sizeof vector == sizeof(Vector<T>));
  __builtin_memcpy(into, &vector, sizeof vector);
}

SILC_INLINE void load_levels(const uint8_t* from, Floats& levels) {
  levels = __builtin_convertvector(Lanes::widen(from), Floats);
}
SILC_INLINE void load_levels(const uint8_t* from, Ints& levels) { levels = Lanes::widen(from); }

SILC_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Shuffles of two vectors by `kIndex`, which says which of their 2 · kLanes values comes to a place.
template <auto kIndex, class V, int... kPlaces>
SILC_INLINE V shuffled_to(const V& a, const V& b, std::integer_sequence<int, kPlaces...>) {
  return __builtin_shufflevector(a, b, kIndex(kPlaces)...);
}
template <auto kIndex, class V>
SILC_INLINE V shuffled(const V& a, const V& b) {
  return shuffled_to<kIndex>(a, b, std::make_integer_sequence<int, Lanes::kCount>());
}

// `block` [kLanes, columns] of numbers, rows `stride` apart, a multiple of four columns: column c becomes a vector, at
// turned + c · turned_stride. Four columns of rows four apart are loaded side by side, and processors turn 4 × 4
// numbers within 128 bits.
SILC_INLINE void turn(const float* block, int64_t stride, int64_t columns, float* turned, int64_t turned_stride) {
  constexpr int N = Lanes::kCount;
  constexpr auto kLow = [](int i) { return i / 4 * 4 + i % 4 / 2 + (i % 2) * N; };
  constexpr auto kHigh = [](int i) { return i / 4 * 4 + i % 4 / 2 + (i % 2) * N + 2; };
  constexpr auto kLowPairs = [](int i) { return i / 4 * 4 + i % 2 + (i % 4 / 2) * N; };
  constexpr auto kHighPairs = [](int i) { return i / 4 * 4 + i % 2 + (i % 4 / 2) * N + 2; };
  for (int64_t c = 0; c < columns; c += 4) {
    const Floats first = Lanes::load_blocks(block + c, 4 * stride);
    const Floats second = Lanes::load_blocks(block + stride + c, 4 * stride);
    const Floats third = Lanes::load_blocks(block + 2 * stride + c, 4 * stride);
    const Floats fourth = Lanes::load_blocks(block + 3 * stride + c, 4 * stride);
    const Floats low = shuffled<kLow>(first, second), high = shuffled<kHigh>(first, second);
    const Floats next_low = shuffled<kLow>(third, fourth), next_high = shuffled<kHigh>(third, fourth);
    store(shuffled<kLowPairs>(low, next_low), turned + c * turned_stride);
    store(shuffled<kHighPairs>(low, next_low), turned + (c + 1) * turned_stride);
    store(shuffled<kLowPairs>(high, next_high), turned + (c + 2) * turned_stride);
    store(shuffled<kHighPairs>(high, next_high), turned + (c + 3) * turned_stride);
  }
}

SILC_INLINE Floats mirrored(const Floats& values) {
  constexpr auto kBackwards = [](int i) { return Lanes::kCount - 1 - i; };
  return shuffled<kBackwards>(values, values);
}

// sums[i] = sums[i] + weights[0] · row 0 [i], then + weights[1] · row 1 [i] and so on; with `fresh` from zero on. Rows
// of `samples` ≥ kStrip; `sums` [samples].
template <class T>
SILC_INLINE void weigh_rows(const uint8_t* rows, int64_t stride, const T* weights, int64_t count, bool fresh,
                            int64_t samples, T* sums) {
  for (int64_t at = 0; at < samples; at += kStrip) {
    using V = Vector<T>;
    V sum[kAbreast];
    for (int64_t i = 0; i < kAbreast; ++i) sum[i] = fresh ? V{} : load(sums + at + i * kLanes);
    const uint8_t* row = rows + at;
    for (int64_t k = 0; k < count; ++k, row += stride)
      for (int64_t i = 0; i < kAbreast; ++i) {
        V levels;
        load_levels(row + i * kLanes, levels);
        sum[i] += weights[k] * levels;
      }
    for (int64_t i = 0; i < kAbreast; ++i) store(sum[i], sums + at + i * kLanes);
  }
}

// Rows of source samples, turned so that kLanes rows lie in a vector: red, green and blue of pixel x, each of all rows,
// at turned + 3 · x · kLanes. These are weighed for one column of the result.
template <class T, class V>
SILC_INLINE void weigh_columns(const T* turned, const WeighedTaps<T>& columns, int64_t x, V* colours) {
  const T* at = turned + columns.first[x] * 3 * kLanes;
  const T* weights = columns.weights + x * columns.width;
  V red{}, green{}, blue{};
  for (int64_t k = 0; k < columns.count[x]; ++k, at += 3 * kLanes) {
    red += weights[k] * load(at);
    green += weights[k] * load(at + kLanes);
    blue += weights[k] * load(at + 2 * kLanes);
  }
  colours[0] = red;
  colours[1] = green;
  colours[2] = blue;
}

template <class T>
SILC_INLINE int64_t samples_needed(const WeighedTaps<T>& columns, int64_t end) {
  return (columns.first[end - 1] + columns.count[end - 1]) * 3;
}

SILC_INLINE Floats shown(const Floats& levels, const TargetPlanes& target, int64_t channel) {
  return (Lanes::divided_by_127_5(levels) - 1.0F) * target.factor[channel] + target.shift[channel];
}

SILC_INLINE void put(const Floats& values, const TargetPlanes& target, float* into) {
  if (target.past_cache)
    Lanes::store_past_cache(values, into);
  else
    store(values, into);
}

// A line of columns of kLanes rows, finished and on its way into memory. Lines are sent a few at a time while the next
// are made, since memory takes them more slowly than they can be handed to it at once.
struct Departing {
  alignas(kCacheLine) float lines[3 * kLanes][kFloatsInLine];
  float* row = nullptr;  // where the first line goes
  int64_t columns = 0;   // of each line
  int64_t rows = 0;      // of each channel
  int64_t width = 0;     // from row to row
  int64_t plane = 0;     // from channel to channel
  int64_t next = 0;      // line of a channel that is to be sent next
};

// The next `rows` lines of each channel.
SILC_INLINE void send(Departing& departing, const TargetPlanes& target, int64_t rows) {
  const int64_t end = least(departing.next + rows, departing.rows);
  for (int64_t r = departing.next; r < end; ++r)
    for (int64_t c = 0; c < 3; ++c) {
      const float* line = departing.lines[c * kLanes + r];
      float* into = departing.row + c * departing.plane + r * departing.width;
      if (departing.columns == kFloatsInLine)
        for (int64_t i = 0; i < kFloatsInLine; i += kLanes) put(load(line + i), target, into + i);
      else
        for (int64_t i = 0; i < departing.columns; ++i) into[i] = line[i];
    }
  departing.next = end;
}

// How a row of the result is made of rows of the source.
struct RowTaps {
  const uint8_t* first;
  const float* weights;
  int64_t count;
};

// Source samples [at, at + length) as they take part in kLanes rows of the result, `length` a multiple of kStrip:
// weighed and turned. `sums` [kLanes, length].
void weigh_and_turn(const RowTaps* rows, int64_t stride, int64_t at, int64_t length, float* sums, float* turned) {
  constexpr int64_t kRowsAtOnce = 8;  // more would be too many places in memory at once for a processor to foresee
  for (int64_t r = 0; r < kLanes; ++r)
    for (int64_t k = 0; k < rows[r].count; k += kRowsAtOnce)
      weigh_rows(rows[r].first + k * stride + at, stride, rows[r].weights + k, least(kRowsAtOnce, rows[r].count - k),
                 k == 0, length, sums + r * length);
  turn(sums, length, length, turned + at * kLanes, kLanes);
}

void bilinear(const SourceRows& source, const WeighedTaps<float>& columns, const WeighedTaps<float>& rows,
              const TargetPlanes& target, float* turned, float* sums) {
  // A few strips at a time as long as few rows are weighed, so that a row's part is still in the cache for the next;
  // else the whole length, since a processor fetches far faster along rows than across them.
  constexpr int64_t kFewRows = 16, kFewStrips = 4;
  const int64_t whole = source.samples / kStrip * kStrip;
  const int64_t length = rows.width <= kFewRows ? least(kFewStrips * kStrip, whole) : whole;
  alignas(kCacheLine) float block[3][kFloatsInLine * kLanes] = {};  // columns of a line
  Departing departing;
  departing.width = columns.size;
  departing.plane = columns.size * rows.size;
  for (int64_t y = 0; y < rows.size; y += kLanes) {
    RowTaps of_row[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) {
      const int64_t row = least(y + r, rows.size - 1);
      of_row[r] = {source.rgb + rows.first[row] * source.stride, rows.weights + row * rows.width, rows.count[row]};
    }
    int64_t there = 0;  // samples that have been turned
    for (int64_t x = 0; x < columns.size; x += kFloatsInLine) {
      const int64_t some = least(kFloatsInLine, columns.size - x);
      const int64_t needed = samples_needed(columns, x + some);
      while (there < needed) {
        // The last strip overlaps the one before, so as not to reach beyond the row.
        const int64_t next = least(length, (source.samples - there + kStrip - 1) / kStrip * kStrip);
        weigh_and_turn(of_row, source.stride, least(there, source.samples - next), next, sums, turned);
        there += next;
      }
      for (int64_t i = 0; i < some; ++i) {
        Floats colours[3];
        weigh_columns(turned, columns, x + i, colours);
        const int64_t place = target.mirror ? some - 1 - i : i;
        for (int64_t c = 0; c < 3; ++c) store(shown(colours[c], target, c), block[c] + place * kLanes);
        send(departing, target, 1);
      }
      send(departing, target, kLanes);
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t p = 0; p < kFloatsInLine; p += kLanes)
          turn(block[c] + p * kLanes, kLanes, kLanes, departing.lines[c * kLanes] + p, kFloatsInLine);
      departing.row = target.values + y * columns.size + (target.mirror ? columns.size - x - some : x);
      departing.columns = some;
      departing.rows = least(kLanes, rows.size - y);
      departing.next = 0;
    }
  }
  send(departing, target, kLanes);
  if (target.past_cache) Lanes::finish_past_cache();
}

// Sums of weighed levels, rounded to numbers of which those in [0, 255] are levels.
SILC_INLINE Ints rounded(const Ints& sums) {
  constexpr int32_t kHalf = 1 << (kLevelPrecision - 1);
  return (sums + kHalf) >> kLevelPrecision;
}

// All columns of the result of all source rows: `narrow` [rows, stride], of which [rows, 3, padded].
void narrow_rows(const SourceRows& source, const WeighedTaps<int32_t>& columns, int64_t padded, int64_t stride,
                 uint8_t* narrow, int32_t* turned) {
  alignas(kCacheLine) int32_t block[3][kLevels * kLanes] = {};  // columns
  for (int64_t y = 0; y < source.rows; y += kLanes) {
    const uint8_t* rows[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) rows[r] = source.rgb + least(y + r, source.rows - 1) * source.stride;
    int64_t there = 0;  // samples that have been turned
    for (int64_t x = 0; x < columns.size; x += kLevels) {
      const int64_t some = least(kLevels, columns.size - x);
      for (const int64_t needed = samples_needed(columns, x + some); there < needed; there += kLevels) {
        const int64_t at = least(there, source.samples - kLevels);
        Lanes::turn_levels(rows, at, turned + at * kLanes);
      }
      for (int64_t i = 0; i < some; ++i) {
        Ints colours[3];
        weigh_columns(turned, columns, x + i, colours);
        for (int64_t c = 0; c < 3; ++c) store(rounded(colours[c]), block[c] + i * kLanes);
      }
      for (int64_t c = 0; c < 3; ++c)
        Lanes::narrow(block[c], narrow + y * stride + c * padded + x, stride, least(kLanes, source.rows - y));
    }
  }
}

// A row of the result, of sums [3, padded].
SILC_INLINE void put_row(const int32_t* sums, int64_t padded, const TargetPlanes& target, int64_t y, int64_t width,
                         int64_t height) {
  for (int64_t c = 0; c < 3; ++c) {
    float* row = target.values + (c * height + y) * width;
    for (int64_t x = 0; x < width; x += kLanes) {
      const Ints levels = Lanes::clamped(rounded(load(sums + c * padded + x)));
      const Floats values = shown(__builtin_convertvector(levels, Floats), target, c);
      if (x + kLanes <= width) {
        if (target.mirror)
          put(mirrored(values), target, row + width - x - kLanes);
        else
          put(values, target, row + x);
      } else {
        for (int64_t i = x; i < width; ++i) row[target.mirror ? width - 1 - i : i] = values[i - x];
      }
    }
  }
}

int64_t turned_levels(const SourceRows& source, const WeighedTaps<int32_t>& /*columns*/) {
  return (source.samples + kLevels) * kLanes;
}

void bicubic(const SourceRows& source, const WeighedTaps<int32_t>& columns, const WeighedTaps<int32_t>& rows,
             const TargetPlanes& target, uint8_t* narrow, int32_t* turned, int32_t* sums) {
  const int64_t padded = padded_columns(columns.size);
  const int64_t stride = narrow_stride(columns.size);
  narrow_rows(source, columns, padded, stride, narrow, turned);
  for (int64_t y = 0; y < rows.size; ++y) {
    weigh_rows(narrow + rows.first[y] * stride, stride, rows.weights + y * rows.width, rows.count[y], /*fresh=*/true,
               stride, sums);
    put_row(sums, padded, target, y, columns.size, rows.size);
  }
  if (target.past_cache) Lanes::finish_past_cache();
}

void show_planes(const float* values, int64_t plane, const TargetPlanes& target) {
  for (int64_t c = 0; c < 3; ++c) {
    const float* from = values + c * plane;
    float* into = target.values + c * plane;
    int64_t i = 0;
    for (; i + kLanes <= plane; i += kLanes) put(load(from + i) * target.factor[c] + target.shift[c], target, into + i);
    for (; i < plane; ++i) into[i] = from[i] * target.factor[c] + target.shift[c];
  }
  if (target.past_cache) Lanes::finish_past_cache();
}
