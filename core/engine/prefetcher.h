// Things made ahead by background threads and handed out in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace silc {

// Makes items first, first + 1, … end − 1 by `make(index)` in `threads` ≥ 1 threads, at most `depth` ≥ 1 ahead of the
// one that is taken next. What is handed out does not depend on the number of threads as long as `make` is a pure
// function.
template <class T>
class Prefetcher {
 public:
  Prefetcher(int64_t first, int64_t end, int64_t threads, int64_t depth, std::function<T(int64_t)> make)
      : make_(std::move(make)), end_(end), depth_(depth), claimed_(first), taken_(first) {
    for (int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }

  // Waits for the items that are being made, no longer.
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    space_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next item; empty after the last. Throws what `make` threw for it.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    if (taken_ >= end_) return std::nullopt;
    ready_.wait(lock, [this] { return made_.contains(taken_); });
    Made made = std::move(made_.extract(taken_).mapped());
    ++taken_;
    lock.unlock();
    space_.notify_all();
    if (made.failure) std::rethrow_exception(made.failure);
    return std::move(made.item);
  }

  // The next item if it is made already.
  std::optional<T> try_next() {
    {
      const std::lock_guard lock(mutex_);
      if (taken_ >= end_ || !made_.contains(taken_)) return std::nullopt;
    }
    return next();  // only the caller takes items, so it is still there
  }

 private:
  struct Made {
    std::optional<T> item;
    std::exception_ptr failure;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      space_.wait(lock, [this] { return stop_ || claimed_ >= end_ || claimed_ < taken_ + depth_; });
      if (stop_ || claimed_ >= end_) return;
      const int64_t index = claimed_++;
      lock.unlock();
      Made made;
      try {
        made.item = make_(index);
      } catch (...) {
        made.failure = std::current_exception();
      }
      lock.lock();
      made_.emplace(index, std::move(made));
      ready_.notify_all();
    }
  }

  const std::function<T(int64_t)> make_;
  const int64_t end_;
  const int64_t depth_;
  std::mutex mutex_;  // guards what follows but the threads
  std::condition_variable ready_;
  std::condition_variable space_;
  std::map<int64_t, Made> made_;
  int64_t claimed_;  // next to be made
  int64_t taken_;    // next to be handed out
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace silc
