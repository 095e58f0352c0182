#include "nn/contrastive_tiles.h"

#include <torch/csrc/autograd/custom_function.h>

#include <limits>

#include "nn/precision.h"

namespace silc {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// S = image · textᵀ in tiles. visit(i, j, logits): those of the rows from i and the columns from j on, free to be
// overwritten.
template <class Visit>
void visit_tiles(const at::Tensor& image, const at::Tensor& text, int64_t tile, const Visit& visit) {
  for (int64_t i = 0; i < image.size(0); i += tile)
    for (int64_t j = 0; j < text.size(0); j += tile)
      visit(i, j, at::mm(image.slice(0, i, i + tile), text.slice(0, j, j + tile).t()));
}

// The gradients by image, text and scale of a loss of S = scale · image · textᵀ, each where it is wanted.
// by_logits(i, j, logits) turns the logits of a tile into the loss's gradient by them. `seed`: the loss's own gradient.
template <class ByLogits>
variable_list gradients(const AutogradContext& context, const at::Tensor& image, const at::Tensor& text,
                        const at::Tensor& scale, int64_t tile, const at::Tensor& seed, const ByLogits& by_logits) {
  const bool wants_image = context.needs_input_grad(0), wants_text = context.needs_input_grad(1),
             wants_scale = context.needs_input_grad(2);
  const auto scaled = image * scale;
  at::Tensor by_scaled, by_text;  // [B, E]
  if (wants_image || wants_scale) by_scaled = at::zeros_like(image);
  if (wants_text) by_text = at::zeros_like(text);
  visit_tiles(scaled, text, tile, [&](int64_t i, int64_t j, at::Tensor logits) {
    by_logits(i, j, logits);
    if (by_scaled.defined()) by_scaled.slice(0, i, i + tile).addmm_(logits, text.slice(0, j, j + tile));
    if (by_text.defined()) by_text.slice(0, j, j + tile).addmm_(logits.t(), scaled.slice(0, i, i + tile));
  });
  variable_list results(3);
  if (by_scaled.defined()) by_scaled.mul_(seed);
  if (wants_scale) results[2] = (by_scaled * image).sum().reshape_as(scale);
  if (wants_image) results[0] = by_scaled.mul_(scale);
  if (wants_text) results[1] = by_text.mul_(seed);
  return results;
}

// log(exp(sums) + exp(more)) in place of `sums`.
void add_exponentials(at::Tensor sums, const at::Tensor& more) { at::logaddexp_out(sums, sums, more); }

struct TiledClipLoss : torch::autograd::Function<TiledClipLoss> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& image, const at::Tensor& text,
                            const at::Tensor& scale, int64_t tile) {
    const auto scaled = image * scale;
    const auto infinity = std::numeric_limits<double>::infinity();
    const auto rows = at::full({image.size(0)}, -infinity, image.options());  // log-sum-exp of each, [B]
    const auto columns = at::full_like(rows, -infinity);
    visit_tiles(scaled, text, tile, [&](int64_t i, int64_t j, const at::Tensor& logits) {
      add_exponentials(rows.slice(0, i, i + tile), at::logsumexp(logits, {1}));
      add_exponentials(columns.slice(0, j, j + tile), at::logsumexp(logits, {0}));
    });
    context->save_for_backward({image, text, scale, rows, columns});
    context->saved_data["tile"] = tile;
    return ((rows + columns) / 2 - (scaled * text).sum(1)).mean();
  }

  static variable_list backward(AutogradContext* context, const variable_list& seeds) {
    const NoAutocast guard;
    const auto saved = context->get_saved_variables();
    const auto &image = saved[0], &text = saved[1], &scale = saved[2], &rows = saved[3], &columns = saved[4];
    const auto tile = context->saved_data["tile"].toInt();
    const auto batch = static_cast<double>(image.size(0));
    auto results =
        gradients(*context, image, text, scale, tile, seeds[0], [&](int64_t i, int64_t j, at::Tensor& logits) {
          const auto by_column = (logits - columns.slice(0, j, j + tile)).exp_();
          logits.sub_(rows.slice(0, i, i + tile).unsqueeze(1)).exp_().add_(by_column);
          logits.div_(2 * batch);
          if (i == j) logits.diagonal().sub_(1 / batch);
        });
    results.emplace_back();  // tile
    return results;
  }
};

struct TiledSigmoidLoss : torch::autograd::Function<TiledSigmoidLoss> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& image, const at::Tensor& text,
                            const at::Tensor& scale, const at::Tensor& bias, int64_t tile) {
    const auto scaled = image * scale;
    // B² terms: summed in fp64 over the tiles.
    const auto sum = at::zeros({}, image.options().dtype(at::kDouble));
    visit_tiles(scaled, text, tile, [&](int64_t /*i*/, int64_t /*j*/, at::Tensor logits) {
      sum.add_(at::softplus(logits.add_(bias)).sum());
    });
    context->save_for_backward({image, text, scale, bias});
    context->saved_data["tile"] = tile;
    const auto matched = ((scaled * text).sum(1) + bias).sum();
    return ((sum - matched) / static_cast<double>(image.size(0))).to(image.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& seeds) {
    const NoAutocast guard;
    const auto saved = context->get_saved_variables();
    const auto &image = saved[0], &text = saved[1], &scale = saved[2], &bias = saved[3];
    const auto tile = context->saved_data["tile"].toInt();
    const auto batch = static_cast<double>(image.size(0));
    const auto by_bias = at::zeros({}, image.options().dtype(at::kDouble));
    auto results =
        gradients(*context, image, text, scale, tile, seeds[0], [&](int64_t i, int64_t j, at::Tensor& logits) {
          logits.add_(bias).sigmoid_().div_(batch);
          if (i == j) logits.diagonal().sub_(1 / batch);
          by_bias.add_(logits.sum());
        });
    results.push_back((by_bias * seeds[0]).to(bias.scalar_type()).reshape_as(bias));
    results.emplace_back();  // tile
    return results;
  }
};

}  // namespace

at::Tensor tiled_clip_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale, int64_t tile) {
  return TiledClipLoss::apply(image, text, scale, tile);
}

at::Tensor tiled_sigmoid_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                              const at::Tensor& bias, int64_t tile) {
  return TiledSigmoidLoss::apply(image, text, scale, bias, tile);
}

}  // namespace silc
