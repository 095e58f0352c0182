#include "nn/contrastive_tiles.h"

#include <torch/csrc/autograd/custom_function.h>

#include <limits>

#include "nn/precision.h"
#include "nn/ranks.h"

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

// Sums of the gradients of a loss of S = scale · image · textᵀ, by scale · image and by text; undefined where they are
// not wanted.
struct GradientSums {
  GradientSums(const AutogradContext& context, const at::Tensor& image, const at::Tensor& text) {
    if (context.needs_input_grad(0) || context.needs_input_grad(2)) by_scaled = at::zeros_like(image);
    if (context.needs_input_grad(1)) by_text = at::zeros_like(text, at::MemoryFormat::Contiguous);
  }

  // The gradients by image, text and scale. `seed`: the loss's own gradient.
  [[nodiscard]] variable_list results(const AutogradContext& context, const at::Tensor& image, const at::Tensor& scale,
                                      const at::Tensor& seed) {
    variable_list results(3);
    if (by_scaled.defined()) by_scaled.mul_(seed);
    if (context.needs_input_grad(2)) results[2] = (by_scaled * image).sum().reshape_as(scale);
    if (context.needs_input_grad(0)) results[0] = by_scaled.mul_(scale);
    if (context.needs_input_grad(1)) results[1] = by_text.mul_(seed);
    return results;
  }

  at::Tensor by_scaled;  // [b, E]
  at::Tensor by_text;    // as the texts
};

// by_logits(i, j, logits) turns the logits of a tile into the loss's gradient by them.
template <class ByLogits>
void add_gradients(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale, int64_t tile,
                   const GradientSums& sums, const ByLogits& by_logits) {
  const auto scaled = image * scale;
  visit_tiles(scaled, text, tile, [&](int64_t i, int64_t j, at::Tensor logits) {
    by_logits(i, j, logits);
    if (sums.by_scaled.defined()) sums.by_scaled.slice(0, i, i + tile).addmm_(logits, text.slice(0, j, j + tile));
    if (sums.by_text.defined()) sums.by_text.slice(0, j, j + tile).addmm_(logits.t(), scaled.slice(0, i, i + tile));
  });
}

// Takes `value` from the logits of matching pairs in the tile of the rows from i and the columns from j on. `first`:
// the column that belongs to row 0.
void subtract_from_matches(at::Tensor& logits, int64_t i, int64_t j, int64_t first, double value) {
  const int64_t offset = first + i - j;
  if (offset > -logits.size(0) && offset < logits.size(1)) logits.diagonal(offset).sub_(value);
}

// log(exp(sums) + exp(more)) in place of `sums`.
void add_exponentials(at::Tensor sums, const at::Tensor& more) { at::logaddexp_out(sums, sums, more); }

// image: [b, E], of this rank; text: [B, E], of all.
struct TiledClipLoss : torch::autograd::Function<TiledClipLoss> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& image, const at::Tensor& text,
                            const at::Tensor& scale, int64_t tile) {
    const auto scaled = image * scale;
    const auto first = ranks().rank() * image.size(0);
    const auto infinity = std::numeric_limits<double>::infinity();
    const auto rows = at::full({image.size(0)}, -infinity, image.options());  // log-sum-exp of each, [b]
    auto columns = at::full({text.size(0)}, -infinity, image.options());      // [B]
    visit_tiles(scaled, text, tile, [&](int64_t i, int64_t j, const at::Tensor& logits) {
      add_exponentials(rows.slice(0, i, i + tile), at::logsumexp(logits, {1}));
      add_exponentials(columns.slice(0, j, j + tile), at::logsumexp(logits, {0}));
    });
    if (!ranks().alone()) columns = logsumexp_over_ranks(columns.unsqueeze(0), 0);
    context->save_for_backward({image, text, scale, rows, columns});
    context->saved_data["tile"] = tile;
    context->saved_data["first"] = first;
    const auto matched = (scaled * text.slice(0, first, first + image.size(0))).sum(1);  // [b]
    if (!ranks().alone()) return (rows - 2 * matched).mean() / 2 + columns.mean() / 2;
    return ((rows + columns) / 2 - matched).mean();
  }

  static variable_list backward(AutogradContext* context, const variable_list& seeds) {
    const NoAutocast guard;
    const auto saved = context->get_saved_variables();
    const auto &image = saved[0], &text = saved[1], &scale = saved[2], &rows = saved[3], &columns = saved[4];
    const auto tile = context->saved_data["tile"].toInt(), first = context->saved_data["first"].toInt();
    // Each column counts in the loss of every rank, 1/B of it each time: 1/b in all, as in those of its own rank alone.
    const auto batch = static_cast<double>(image.size(0));
    GradientSums sums(*context, image, text);
    add_gradients(image, text, scale, tile, sums, [&](int64_t i, int64_t j, at::Tensor& logits) {
      const auto by_column = (logits - columns.slice(0, j, j + tile)).exp_();
      logits.sub_(rows.slice(0, i, i + tile).unsqueeze(1)).exp_().add_(by_column);
      logits.div_(2 * batch);
      subtract_from_matches(logits, i, j, first, 1 / batch);
    });
    auto results = sums.results(*context, image, scale, seeds[0]);
    results.emplace_back();  // tile
    return results;
  }
};

// Each rank has its pictures and one chunk of texts at a time: the chunks go round in a ring, so that memory does not
// grow with the number of ranks.
struct TiledSigmoidLoss : torch::autograd::Function<TiledSigmoidLoss> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& image, const at::Tensor& text,
                            const at::Tensor& scale, const at::Tensor& bias, int64_t tile) {
    const auto scaled = image * scale;
    // B² terms: summed in fp64 over the tiles.
    const auto sum = at::zeros({}, image.options().dtype(at::kDouble));
    auto chunk = text.contiguous();
    for (int64_t passes = 0; passes < ranks().size(); ++passes) {
      if (passes > 0) chunk = ranks().pass(chunk);
      visit_tiles(scaled, chunk, tile, [&](int64_t /*i*/, int64_t /*j*/, at::Tensor logits) {
        sum.add_(at::softplus(logits.add_(bias)).sum());
      });
    }
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
    const auto sums = [&](const at::Tensor& chunk, bool matched, const GradientSums& into) {
      add_gradients(image, chunk, scale, tile, into, [&](int64_t i, int64_t j, at::Tensor& logits) {
        logits.add_(bias).sigmoid_().div_(batch);
        if (matched && i == j) logits.diagonal().sub_(1 / batch);
        by_bias.add_(logits.sum());
      });
    };
    GradientSums wanted(*context, image, text);
    sums(text, true, wanted);
    // What the losses of other ranks owe to a chunk of texts goes round with it, and comes home last.
    auto chunk = text.contiguous();
    for (int64_t passes = 1; passes < ranks().size(); ++passes) {
      if (wanted.by_text.defined()) {
        const auto both = ranks().pass(at::stack({chunk, wanted.by_text}));
        chunk = both[0];
        wanted.by_text = both[1];
      } else {
        chunk = ranks().pass(chunk);
      }
      sums(chunk, false, wanted);
    }
    if (wanted.by_text.defined()) wanted.by_text = ranks().pass(wanted.by_text);
    auto results = wanted.results(*context, image, scale, seeds[0]);
    results.push_back((by_bias * seeds[0]).to(bias.scalar_type()).reshape_as(bias));
    results.emplace_back();  // tile
    return results;
  }
};

}  // namespace

at::Tensor tiled_clip_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale, int64_t tile) {
  return TiledClipLoss::apply(image, whole_batch(text, text.size(0)), scale, tile);
}

at::Tensor tiled_sigmoid_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                              const at::Tensor& bias, int64_t tile) {
  return TiledSigmoidLoss::apply(image, text, scale, bias, tile);
}

}  // namespace silc
