// The processes that train one cell together, each on its part of every batch.
//
// The global batch is the contract: N ranks give the loss and the gradients that one process gives with the whole
// batch. Rank r of N has B/N pictures of a batch of B, those from r · B/N on, and computes a loss L_r of its own; what
// is minimised is the mean (L_0 + … + L_{N−1}) / N, and the engine averages gradients, loss terms and metrics over the
// ranks. A loss that is a mean over pictures needs nothing more. One that compares pictures, or takes statistics of the
// batch, fetches what the other ranks have by what is declared here; each function with a gradient brings back what the
// losses of all ranks owe to this rank's part. Without other ranks every function gives back what it was given.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "silc/export.h"

namespace silc {

// This process's place among them, and collective operations without a graph. All ranks call these in the same order,
// with tensors of the same shape and type, from one thread; they all get the same bits, and the same ones each time. An
// object of this class itself is a process that trains alone.
//
// A rank that has died or cannot be reached ends them with a silc::Error that names it.
class SILC_EXPORT Ranks {
 public:
  Ranks() = default;
  virtual ~Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] int64_t rank() const { return rank_; }
  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] bool alone() const { return size_ == 1; }

  // Of row `row` of V·b rows, view by view, of a batch of `batch` = b pictures: its place among the V·B of all ranks.
  [[nodiscard]] int64_t global_row(int64_t row, int64_t batch) const {
    return row / batch * batch * size_ + rank_ * batch + row % batch;
  }

  [[nodiscard]] at::Tensor sum(const at::Tensor& x) const;
  [[nodiscard]] at::Tensor mean(const at::Tensor& x) const;  // of floating-point numbers
  [[nodiscard]] at::Tensor max(const at::Tensor& x) const;
  [[nodiscard]] at::Tensor gather(const at::Tensor& rows) const;  // [n, …] → [N·n, …], rank by rank
  [[nodiscard]] at::Tensor scatter_sum(const at::Tensor& rows) const;  // [N·n, …] → [n, …]: the sum of this rank's rows
  [[nodiscard]] at::Tensor pass(const at::Tensor& x) const;  // to the rank before; gives that of the next rank
  [[nodiscard]] std::vector<std::string> gather_text(const std::string& text) const;  // [N]; of any lengths
  void broadcast(at::Tensor& x) const;                                                // rank 0's, in place
  void barrier() const;

  // A sum that goes on beside the computation.
  class SILC_EXPORT Pending {
   public:
    virtual ~Pending() = default;
    virtual void wait() = 0;  // from then on the tensor may be used
  };
  // Adds up `x`, contiguous, in place. Begun in the same order on all ranks, which need not be that of the operations
  // above: these are apart.
  [[nodiscard]] std::unique_ptr<Pending> begin_sum(at::Tensor& x) const;

  // Bytes that this rank has sent, as the usual algorithms do it: of n bytes 2 · (N − 1)/N · n for a sum, (N − 1) · n
  // to gather n of each rank, (N − 1)/N · n to scatter, n to pass on.
  [[nodiscard]] int64_t bytes_sent() const { return sent_; }

 protected:
  Ranks(int64_t rank, int64_t size) : rank_(rank), size_(size) {}

 private:
  [[nodiscard]] virtual at::Tensor do_sum(const at::Tensor& x) const { return x; }
  [[nodiscard]] virtual at::Tensor do_max(const at::Tensor& x) const { return x; }
  [[nodiscard]] virtual at::Tensor do_gather(const at::Tensor& rows) const { return rows; }
  [[nodiscard]] virtual at::Tensor do_scatter_sum(const at::Tensor& rows) const { return rows; }
  [[nodiscard]] virtual at::Tensor do_pass(const at::Tensor& x) const { return x; }
  virtual void do_broadcast(at::Tensor& /*x*/) const {}
  virtual void do_barrier() const {}
  [[nodiscard]] virtual std::unique_ptr<Pending> do_begin_sum(at::Tensor& x) const;

  void count(const at::Tensor& x, double times) const;

  int64_t rank_ = 0;
  int64_t size_ = 1;
  mutable std::atomic<int64_t> sent_ = 0;
};

// Those of this thread's scope; where it has none, of the process.
SILC_EXPORT const Ranks& ranks();

// From now on those of the process; null: it is alone.
SILC_EXPORT void set_process_ranks(std::shared_ptr<const Ranks> ranks);

// Those of this thread while it lives: for tests, in which threads play the ranks.
class SILC_EXPORT RanksScope {
 public:
  explicit RanksScope(const Ranks& ranks);
  ~RanksScope();
  RanksScope(const RanksScope&) = delete;
  RanksScope& operator=(const RanksScope&) = delete;

 private:
  const Ranks* before_;
};

// Rows of all ranks, with a gradient: [V·b, …] → [V·B, …], view by view as in Batch::views. A loss that is computed
// from these, as one process would from its whole batch, is right on any number of ranks.
SILC_EXPORT at::Tensor whole_batch(const at::Tensor& rows, int64_t batch);

// The sum over ranks, with a gradient.
SILC_EXPORT at::Tensor summed_over_ranks(const at::Tensor& x);

// logsumexp of x over `dim`, which is spread over the ranks, with a gradient.
SILC_EXPORT at::Tensor logsumexp_over_ranks(const at::Tensor& x, int64_t dim, bool keepdim = false);

// at::batch_norm with the statistics of all ranks' rows: x [B, C, …]; weight, bias, running_mean, running_var: [C]. The
// running ones, undefined or not, as there.
SILC_EXPORT at::Tensor batch_norm_over_ranks(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                             at::Tensor running_mean, at::Tensor running_var, bool training,
                                             double momentum, double eps);

}  // namespace silc
