#include "nn/ranks.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "nn/precision.h"

namespace silc {

namespace {

thread_local const Ranks* scoped_ranks = nullptr;

std::shared_ptr<const Ranks>& process_ranks() {
  static std::shared_ptr<const Ranks> ranks = std::make_shared<const Ranks>();
  return ranks;
}

// A sum over one process is there at once.
class Done : public Ranks::Pending {
 public:
  void wait() override {}
};

struct WholeBatch : torch::autograd::Function<WholeBatch> {
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& rows) {
    return ranks().gather(rows.contiguous());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* /*context*/,
                                                 const torch::autograd::variable_list& gradients) {
    return {ranks().scatter_sum(gradients[0].contiguous())};
  }
};

struct Summed : torch::autograd::Function<Summed> {
  static at::Tensor forward(torch::autograd::AutogradContext* /*context*/, const at::Tensor& x) {
    return ranks().sum(x.contiguous());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* /*context*/,
                                                 const torch::autograd::variable_list& gradients) {
    return {ranks().sum(gradients[0].contiguous())};
  }
};

}  // namespace

void Ranks::count(const at::Tensor& x, double times) const {
  sent_ += static_cast<int64_t>(times * static_cast<double>(x.nbytes()));
}

at::Tensor Ranks::sum(const at::Tensor& x) const {
  if (alone()) return x;
  count(x, 2.0 * static_cast<double>(size_ - 1) / static_cast<double>(size_));
  return do_sum(x);
}

at::Tensor Ranks::mean(const at::Tensor& x) const { return alone() ? x : sum(x) / static_cast<double>(size_); }

at::Tensor Ranks::max(const at::Tensor& x) const {
  if (alone()) return x;
  count(x, 2.0 * static_cast<double>(size_ - 1) / static_cast<double>(size_));
  return do_max(x);
}

at::Tensor Ranks::gather(const at::Tensor& rows) const {
  if (alone()) return rows;
  count(rows, static_cast<double>(size_ - 1));
  return do_gather(rows);
}

at::Tensor Ranks::scatter_sum(const at::Tensor& rows) const {
  if (alone()) return rows;
  count(rows, static_cast<double>(size_ - 1) / static_cast<double>(size_));
  return do_scatter_sum(rows);
}

at::Tensor Ranks::pass(const at::Tensor& x) const {
  if (alone()) return x;
  count(x, 1);
  return do_pass(x);
}

// Short texts, of which all steps' are, need one gathering.
std::vector<std::string> Ranks::gather_text(const std::string& text) const {
  if (alone()) return {text};
  constexpr int64_t kShort = 4096;
  constexpr int64_t kHead = sizeof(int64_t);
  const auto length = static_cast<int64_t>(text.size());
  const auto gathered = [&](int64_t room, int64_t first) {
    const at::Tensor bytes = at::zeros({1, kHead + room}, at::kByte);
    auto* data = bytes.mutable_data_ptr<uint8_t>();
    std::memcpy(data, &length, kHead);
    const auto rest = std::clamp<int64_t>(length - first, 0, room);
    if (rest > 0) std::memcpy(data + kHead, text.data() + first, static_cast<std::size_t>(rest));
    return gather(bytes);
  };
  const at::Tensor heads = gathered(kShort, 0);
  std::vector<std::string> texts;
  std::vector<int64_t> lengths;
  for (int64_t r = 0; r < size_; ++r) {
    const auto* row = heads.const_data_ptr<uint8_t>() + r * (kHead + kShort);
    std::memcpy(&lengths.emplace_back(), row, kHead);
    texts.emplace_back(reinterpret_cast<const char*>(row + kHead),
                       static_cast<std::size_t>(std::min(lengths.back(), kShort)));
  }
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  if (longest <= kShort) return texts;
  const int64_t room = longest - kShort;
  const at::Tensor tails = gathered(room, kShort);
  for (int64_t r = 0; r < size_; ++r) {
    const auto* row = tails.const_data_ptr<uint8_t>() + r * (kHead + room) + kHead;
    texts[static_cast<std::size_t>(r)].append(
        reinterpret_cast<const char*>(row),
        static_cast<std::size_t>(std::max<int64_t>(lengths[static_cast<std::size_t>(r)] - kShort, 0)));
  }
  return texts;
}

void Ranks::broadcast(at::Tensor& x) const {
  if (alone()) return;
  count(x, rank_ == 0 ? 1 : 0);
  do_broadcast(x);
}

void Ranks::barrier() const {
  if (!alone()) do_barrier();
}

std::unique_ptr<Ranks::Pending> Ranks::begin_sum(at::Tensor& x) const {
  if (alone()) return std::make_unique<Done>();
  count(x, 2.0 * static_cast<double>(size_ - 1) / static_cast<double>(size_));
  return do_begin_sum(x);
}

std::unique_ptr<Ranks::Pending> Ranks::do_begin_sum(at::Tensor& x) const {
  x.copy_(do_sum(x));
  return std::make_unique<Done>();
}

const Ranks& ranks() { return scoped_ranks != nullptr ? *scoped_ranks : *process_ranks(); }

void set_process_ranks(std::shared_ptr<const Ranks> ranks) {
  process_ranks() = ranks ? std::move(ranks) : std::make_shared<const Ranks>();
}

RanksScope::RanksScope(const Ranks& ranks) : before_(std::exchange(scoped_ranks, &ranks)) {}

RanksScope::~RanksScope() { scoped_ranks = before_; }

at::Tensor whole_batch(const at::Tensor& rows, int64_t batch) {
  if (ranks().alone()) return rows;
  const at::Tensor all = WholeBatch::apply(rows);  // [N·V·b, …], rank by rank
  if (rows.size(0) == batch) return all;
  auto shape = rows.sizes().vec();  // [V·b, …]
  shape[0] = batch;
  shape.insert(shape.begin(), {ranks().size(), rows.size(0) / batch});  // [N, V, b, …]
  return all.view(shape).transpose(0, 1).flatten(0, 2);
}

at::Tensor summed_over_ranks(const at::Tensor& x) { return ranks().alone() ? x : Summed::apply(x); }

at::Tensor logsumexp_over_ranks(const at::Tensor& x, int64_t dim, bool keepdim) {
  const at::Tensor own = at::logsumexp(x, {dim}, keepdim);
  if (ranks().alone()) return own;
  const at::Tensor most = ranks().max(own.detach());
  return summed_over_ranks((own - most).exp()).log() + most;
}

at::Tensor batch_norm_over_ranks(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                 at::Tensor running_mean, at::Tensor running_var, bool training, double momentum,
                                 double eps) {
  if (ranks().alone() || !training)
    return at::batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps, /*cudnn_enabled=*/true);
  std::vector<int64_t> others(static_cast<std::size_t>(x.dim() - 1));  // all dimensions but the channels'
  std::iota(others.begin(), others.end(), 1);
  others[0] = 0;
  std::vector<int64_t> wide(static_cast<std::size_t>(x.dim()), 1);
  wide[1] = x.size(1);
  const auto N = static_cast<double>(ranks().size());
  const at::Tensor full = full_precision(x);                                         // as at::batch_norm computes
  const at::Tensor mean = summed_over_ranks(full.mean(others)) / N;                  // [C]
  const at::Tensor centred = full - mean.view(wide);                                 // [B, C, …]
  const at::Tensor variance = summed_over_ranks(centred.square().mean(others)) / N;  // [C]
  const double count = N * static_cast<double>(x.numel()) / static_cast<double>(x.size(1));
  if (running_mean.defined()) running_mean.lerp_(mean.detach(), momentum);
  if (running_var.defined()) running_var.lerp_(variance.detach() * (count / (count - 1)), momentum);
  at::Tensor scale = (variance + eps).rsqrt();
  if (weight.defined()) scale = scale * weight;
  at::Tensor scaled = centred * scale.view(wide);
  if (bias.defined()) scaled = scaled + bias.view(wide);
  return scaled.to(x.scalar_type());
}

}  // namespace silc
