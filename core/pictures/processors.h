// How loops over pixels are compiled.
#pragma once

// Before a function: compiled for processors with AVX2 and for those without, of which the right one is called. Without
// FMA, so that both give the same bits.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define SILC_WITH_AND_WITHOUT_AVX2 __attribute__((target_clones("avx2", "default")))
// The same for loops that count bits.
#define SILC_COUNTING_BITS __attribute__((target_clones("popcnt", "default")))
#else
#define SILC_WITH_AND_WITHOUT_AVX2
#define SILC_COUNTING_BITS
#endif

// Before a function that is to become part of such functions.
#define SILC_INLINE inline __attribute__((always_inline))
