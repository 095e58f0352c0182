// Work in several threads at once, for the checks of datasets and tokenizers. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace silc::conformance {

// `work(thread)` in four threads at once; the first text that is not empty: what went wrong. `work` must not throw.
template <class Work>
std::string in_threads(const Work& work) {
  constexpr std::size_t kThreads = 4;
  std::vector<std::string> faults(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] { faults[thread] = work(thread); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& fault : faults)
    if (!fault.empty()) return fault;
  return "";
}

}  // namespace silc::conformance
