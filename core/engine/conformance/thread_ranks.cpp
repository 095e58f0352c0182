#include "engine/conformance/thread_ranks.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/rank_lost.h"
#include "nn/ranks.h"

namespace silc::conformance {
namespace {

// Where threads lay down tensors for each other.
class Table {
 public:
  explicit Table(std::size_t size) : tensors_(size) {}

  // Those of all, when all have come; `mine` must stay as it is until then.
  std::vector<at::Tensor> exchange(std::size_t rank, const at::Tensor& mine) {
    std::unique_lock lock(mutex_);
    tensors_[rank] = mine;
    wait_for_all(lock);
    auto all = tensors_;
    wait_for_all(lock);  // so that none lays down its next before the last has read this one
    return all;
  }

  void give_up() {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    changed_.notify_all();
  }

 private:
  void wait_for_all(std::unique_lock<std::mutex>& lock) {
    const int64_t round = round_;
    if (++waiting_ == tensors_.size()) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock, [&] { return round_ != round || given_up_; });
    if (round_ == round) throw RankLost("another rank has failed");
  }

  std::vector<at::Tensor> tensors_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t waiting_ = 0;
  int64_t round_ = 0;
  bool given_up_ = false;
};

class ThreadRanks : public Ranks {
 public:
  ThreadRanks(int64_t rank, int64_t size, Table& table) : Ranks(rank, size), table_(table) {}

 private:
  std::vector<at::Tensor> all_of(const at::Tensor& x) const {
    return table_.exchange(static_cast<std::size_t>(rank()), x.detach());
  }

  at::Tensor do_sum(const at::Tensor& x) const override {
    const auto all = all_of(x);
    at::Tensor sum = all[0].clone();
    for (std::size_t r = 1; r < all.size(); ++r) sum.add_(all[r]);
    return sum;
  }
  at::Tensor do_max(const at::Tensor& x) const override { return at::stack(all_of(x)).amax(0); }
  at::Tensor do_gather(const at::Tensor& rows) const override { return at::cat(all_of(rows)); }
  at::Tensor do_scatter_sum(const at::Tensor& rows) const override { return do_sum(rows).chunk(size())[rank()]; }
  at::Tensor do_pass(const at::Tensor& x) const override {
    return all_of(x)[static_cast<std::size_t>((rank() + 1) % size())].clone();
  }
  void do_broadcast(at::Tensor& x) const override { x.copy_(all_of(x.clone())[0]); }
  void do_barrier() const override { all_of(at::zeros({})); }

  // Done when it is waited for, which is in the same order everywhere.
  class LateSum : public Pending {
   public:
    LateSum(const ThreadRanks& ranks, at::Tensor x) : ranks_(ranks), x_(std::move(x)) {}
    void wait() override { x_.copy_(ranks_.do_sum(x_.clone())); }

   private:
    const ThreadRanks& ranks_;
    at::Tensor x_;
  };
  std::unique_ptr<Pending> do_begin_sum(at::Tensor& x) const override { return std::make_unique<LateSum>(*this, x); }

  Table& table_;
};

}  // namespace

void as_ranks(int64_t size, const std::function<void(int64_t rank)>& work) {
  Table table(static_cast<std::size_t>(size));
  std::mutex mutex;
  std::exception_ptr failure;  // the first
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      const ThreadRanks place(rank, size, table);
      const RanksScope scope(place);
      at::set_num_threads(1);
      try {
        work(rank);
      } catch (...) {
        {
          const std::lock_guard lock(mutex);
          if (!failure) failure = std::current_exception();
        }
        table.give_up();
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace silc::conformance
