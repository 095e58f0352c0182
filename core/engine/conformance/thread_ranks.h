// Threads that play ranks: what several processes would compute, in one.
#pragma once

#include <cstdint>
#include <functional>

namespace silc::conformance {

// Runs `work(rank)` in as many threads, each of which has its place among the others in ranks() (nn/ranks.h), and
// computes with one thread. When one fails the others stop at their next common operation, and what it threw is thrown.
void as_ranks(int64_t size, const std::function<void(int64_t rank)>& work);

}  // namespace silc::conformance
