#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <functional>

#include "engine/conformance/bits.h"
#include "engine/conformance/conformance.h"
#include "engine/conformance/gradients.h"
#include "engine/conformance/heap.h"
#include "engine/conformance/practice.h"
#include "engine/cost.h"
#include "engine/flop_counter.h"
#include "engine/precision.h"
#include "nn/recompute.h"
#include "plugin/loader.h"

namespace silc::conformance {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int64_t kImageSize = 64;
constexpr int64_t kLocalSize = 32;
constexpr int64_t kUsualSize = 224;  // with which the defaults must go together
constexpr int64_t kBatch = 3;
// fp32 sums of another order, as in products of another size, relative to the greatest value.
constexpr double kRoundoff = 1e-4;

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const double size = std::max(a.abs().max().item<double>(), 1e-6);
  return (a - b).abs().max().item<double>() / size;
}

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

// The outputs of a backbone, all of which must agree, be finite, and so on.
using Outputs = std::vector<std::pair<std::string, at::Tensor>>;

at::Tensor weighted_sum(const Outputs& outputs) {
  at::manual_seed(99);
  at::Tensor sum;
  for (const auto& [name, tensor] : outputs) {
    const at::Tensor term = (tensor * at::randn(tensor.sizes(), tensor.options())).sum();
    sum = sum.defined() ? sum + term : term;
  }
  return sum;
}

// What images and texts have in common. `make` gives a new module; `outputs` runs it on its usual inputs, a number
// of rows from `first` on, or all of them.
template <class Module>
class BackboneChecks {
 public:
  using Make = std::function<std::shared_ptr<Module>()>;
  using Run = std::function<Outputs(Module&, at::ScalarType type, int64_t first, int64_t count)>;

  BackboneChecks(Make make, Run run) : make_(std::move(make)), run_(std::move(run)) {}

  Outcome repeatable() {
    const auto module = fresh();
    const Outputs once = all(*module), again = all(*module), other = all(*fresh());
    for (std::size_t i = 0; i < once.size(); ++i) {
      if (!same_bits(once[i].second, again[i].second)) return failed("two calls give other " + once[i].first);
      if (!same_bits(once[i].second, other[i].second))
        return failed("made twice from one seed it gives other " + once[i].first +
                      ": initial values come from LibTorch's generator");
    }
    return passed();
  }

  Outcome alone() {
    const auto module = fresh();
    module->eval();
    const torch::NoGradGuard no_grad;
    const Outputs together = all(*module);
    double worst = 0;
    for (int64_t row = 0; row < kBatch; ++row) {
      const Outputs single = run_(*module, at::kFloat, row, 1);
      for (std::size_t i = 0; i < single.size(); ++i) {
        const double difference = relative_difference(together[i].second.slice(0, row, row + 1), single[i].second);
        worst = std::max(worst, difference);
        if (!(difference <= kRoundoff))
          return failed(c10::str(single[i].first, " of one input differ by ", difference,
                                 " of their size when it is in a batch: in evaluation, inputs must not see each other"),
                        {{"relative_difference", difference}, {"allowed", kRoundoff}});
      }
    }
    return passed("", {{"relative_difference", worst}, {"allowed", kRoundoff}});
  }

  Outcome gradients() {
    const auto module = fresh();
    to_double(*module);
    // Over the few values here, the statistics of a batch norm are too steep for finite differences.
    if (find_batch_norm(*module)) module->eval();
    DifferentiableProblem problem;
    for (const auto& parameter : module->named_parameters())
      if (parameter.value().requires_grad()) problem.parameters.push_back({parameter.key(), parameter.value()});
    NamedTensors buffers;
    for (const auto& buffer : module->named_buffers()) buffers.emplace(buffer.key(), buffer.value());
    const NamedTensors start = copy_of(buffers);
    problem.value = [&] {
      {
        const torch::NoGradGuard no_grad;
        for (auto& [name, tensor] : buffers) tensor.copy_(start.at(name));
      }
      torch::manual_seed(kSeed);
      return weighted_sum(run_(*module, at::kDouble, 0, kBatch));
    };
    return check_gradients(problem);
  }

  Outcome parameters() {
    const auto module = fresh();
    weighted_sum(all(*module)).backward();
    std::string idle;
    int64_t count = 0;
    for (const auto& parameter : module->named_parameters()) {
      if (!parameter.value().requires_grad()) continue;
      ++count;
      const at::Tensor& gradient = parameter.value().grad();
      if (!gradient.defined() || gradient.count_nonzero().item<int64_t>() == 0)
        idle += (idle.empty() ? "\"" : ", \"") + parameter.key() + "\"";
    }
    if (!idle.empty()) return failed("no output depends on " + idle, {{"parameters", count}});
    return passed("", {{"parameters", count}});
  }

  Outcome bf16() {
    const auto module = fresh();
    Outputs outputs;
    {
      const Autocast autocast(Precision::bf16, at::kCPU);
      outputs = all(*module);
    }
    weighted_sum(outputs).backward();
    for (const auto& [name, tensor] : outputs)
      if (!is_finite(tensor)) return failed(name + " hold NaN or infinity");
    for (const auto& parameter : module->named_parameters()) {
      if (parameter.value().scalar_type() != at::kFloat) return failed("\"" + parameter.key() + "\" left fp32");
      if (parameter.value().grad().defined() && !is_finite(parameter.value().grad()))
        return failed("the gradient of \"" + parameter.key() + "\" holds NaN or infinity");
    }
    const torch::NoGradGuard no_grad;
    const Outputs exact = all(*fresh());
    double worst = 0;
    for (std::size_t i = 0; i < exact.size(); ++i)
      worst = std::max(worst, relative_difference(exact[i].second, outputs[i].second.to(at::kFloat)));
    return passed("", {{"relative_difference", worst}});
  }

  // What an evaluation leaves behind, such as a cache, must be fit for training.
  Outcome after_evaluation() {
    const auto module = fresh();
    module->eval();
    {
      const c10::InferenceMode inference;
      all(*module);
    }
    module->train();
    try {
      weighted_sum(all(*module)).backward();
    } catch (const std::exception& error) {
      return failed("it cannot be trained once it was evaluated: " + one_line(error) +
                    " (a tensor that is kept for later calls must not be made in inference mode)");
    }
    return passed();
  }

  Outcome memory() {
    const auto module = fresh();
    constexpr int64_t kWarm = 4;
    constexpr int64_t kWatched = 12;
    std::vector<int64_t> in_use;
    in_use.reserve(kWatched + 1);
    for (int64_t i = 0; i < kWarm + kWatched + 1; ++i) {
      weighted_sum(all(*module)).backward();
      if (i >= kWarm) in_use.push_back(heap_in_use());
    }
    const std::string growth = describe_growth(in_use);
    return growth.empty() ? passed("", {{"steps", in_use.size() - 1}}) : failed(growth);
  }

  Outcome speed() {
    const auto module = fresh();
    const torch::NoGradGuard no_grad;
    double fastest = 1e300;
    int64_t flops = 0;
    for (int i = 0; i < 3; ++i) {
      const FlopCounter counter;
      const Stopwatch watch;
      all(*module);
      fastest = std::min(fastest, watch.elapsed().seconds);
      flops = counter.total();
    }
    return passed("",
                  {{"milliseconds_forward", 1e3 * fastest}, {"megaflops_forward", 1e-6 * static_cast<double>(flops)}});
  }

  std::shared_ptr<Module> fresh() {
    torch::manual_seed(kSeed);
    std::shared_ptr<Module> module = make_();
    module->train();
    return module;
  }

 private:
  Outputs all(Module& module) { return run_(module, at::kFloat, 0, kBatch); }

  Make make_;
  Run run_;
};

template <class Checks>
void check_common(Checks& checks, const std::string& header, Report& report) {
  report.check("repeatable", header + ": the same input gives the same bits", [&] { return checks.repeatable(); });
  report.check("alone", header + ": an input's features do not depend on the batch", [&] { return checks.alone(); });
  report.check("gradients", "in double precision, against finite differences (core/engine/conformance/gradients.h)",
               [&] { return checks.gradients(); });
  report.check("parameters", header + ": every parameter takes part", [&] { return checks.parameters(); });
  report.check("bf16", header + ": runs under autocast", [&] { return checks.bf16(); });
  report.check("after evaluation", "torch::InferenceMode, then training", [&] { return checks.after_evaluation(); });
  report.check("memory", "a step leaves nothing behind", [&] { return checks.memory(); });
  report.check("speed", "reported, not judged", [&] { return checks.speed(); });
}

at::Tensor pictures(int64_t size) {
  at::manual_seed(7);
  return at::rand({kBatch, 3, size, size}) * 2 - 1;
}

std::shared_ptr<ImageBackbone> make_image(const PluginInfo& plugin, const Options& options, int64_t size) {
  return make_image_backbone(plugin, {.options = options, .image_size = size});
}

Outputs image_outputs(ImageBackbone& backbone, at::ScalarType type, int64_t first, int64_t count) {
  Outputs outputs;
  for (const int64_t size : {kImageSize, kLocalSize}) {
    const std::string of = size == kLocalSize ? " of a local view" : "";
    const ImageFeatures features = backbone.forward(pictures(size).slice(0, first, first + count).to(type));
    outputs.emplace_back("pooled features" + of, features.pooled);
    outputs.emplace_back("patch tokens" + of, features.patches);
    outputs.emplace_back("localized patches" + of, backbone.localize(features));
  }
  return outputs;
}

std::string fault_of(const ImageFeatures& features, int64_t width) {
  const int64_t patches = features.grid_height * features.grid_width;
  if (features.pooled.sizes() != at::IntArrayRef({kBatch, width}))
    return c10::str("pooled has the shape ", features.pooled.sizes(), ", not [B, D] = [", kBatch, ", ", width, "]");
  if (patches < 1 || features.patches.sizes() != at::IntArrayRef({kBatch, patches, width}))
    return c10::str("patches has the shape ", features.patches.sizes(), ", not [B, N, D] = [", kBatch, ", ",
                    features.grid_height, " x ", features.grid_width, ", ", width, "]");
  if (!is_finite(features.pooled) || !is_finite(features.patches)) return "the features hold NaN or infinity";
  return "";
}

Outcome check_shapes(const Subject& subject) {
  const torch::NoGradGuard no_grad;
  make_image(subject.plugin, subject.full, kUsualSize);
  const auto backbone = make_image(subject.plugin, subject.options, kImageSize);
  int64_t patches = 0;
  for (const int64_t size : {kImageSize, kLocalSize}) {
    const ImageFeatures features = backbone->forward(pictures(size));
    const std::string of = c10::str("of a picture of ", size, " pixels: ");
    if (const std::string fault = fault_of(features, backbone->width()); !fault.empty()) return failed(of + fault);
    if (features.grid_height != features.grid_width)
      return failed(c10::str(of, "the grid of a square picture is ", features.grid_height, " x ", features.grid_width));
    const at::Tensor localized = backbone->localize(features);
    if (localized.sizes() != features.patches.sizes())
      return failed(c10::str(of, "localize() gives the shape ", localized.sizes(), ", not ", features.patches.sizes()));
    if (size == kLocalSize && features.patches.size(1) > patches)
      return failed("a local view has more patches than a global one");
    patches = features.patches.size(1);
    if (size == kImageSize)
      for (const double value : {-1.0, 0.0, 1.0})
        if (const std::string fault =
                fault_of(backbone->forward(at::full({kBatch, 3, size, size}, value)), backbone->width());
            !fault.empty())
          return failed(c10::str("of pictures that are ", value, " everywhere: ", fault));
  }
  return passed("", {{"width", backbone->width()}, {"parameters", parameter_count(*backbone)}});
}

// A patch is changed most by what it shows: a change in one corner of the picture must show in that corner's patch. One
// that sees the whole picture tells nothing about order, unless another corner's patch changes far more.
Outcome check_order(const Subject& subject) {
  torch::manual_seed(kSeed);
  const auto backbone = make_image(subject.plugin, subject.options, kImageSize);
  backbone->eval();
  const torch::NoGradGuard no_grad;
  const at::Tensor picture = pictures(kImageSize).slice(0, 0, 1);
  const ImageFeatures before = backbone->forward(picture);
  const int64_t height = before.grid_height, width = before.grid_width;
  if (height < 2 || width < 2)
    return not_applicable(c10::str("the grid of a picture of ", kImageSize, " pixels is ", height, " x ", width));
  const int64_t high = kImageSize / height, wide = kImageSize / width;
  struct Corner {
    const char* name;
    int64_t row, column;
  };
  constexpr double kFarMore = 2;
  bool tells = true;
  const std::array<Corner, 4> corners = {{{"upper left", 0, 0},
                                          {"upper right", 0, width - 1},
                                          {"lower left", height - 1, 0},
                                          {"lower right", height - 1, width - 1}}};
  for (const Corner& corner : corners) {
    at::Tensor changed = picture.clone();
    changed.slice(2, corner.row * high, (corner.row + 1) * high)
        .slice(3, corner.column * wide, (corner.column + 1) * wide)
        .neg_();
    const at::Tensor change = (backbone->forward(changed).patches - before.patches).norm(2, {-1})[0];  // [N]
    at::Tensor at_corners = at::empty({4});
    for (std::size_t i = 0; i < corners.size(); ++i)
      at_corners[static_cast<int64_t>(i)] = change[corners[i].row * width + corners[i].column];
    const auto greatest = static_cast<std::size_t>(at_corners.argmax().item<int64_t>());
    if (corners[greatest].row == corner.row && corners[greatest].column == corner.column) continue;
    tells = false;
    const double own = change[corner.row * width + corner.column].item<double>();
    if (at_corners.max().item<double>() > kFarMore * own)
      return failed(c10::str("a change in the ", corner.name, " corner of the picture shows most in the patch at the ",
                             corners[greatest].name, ": patches come row by row"));
  }
  if (!tells) return not_applicable("a change in one corner of the picture shows in the patches of all corners alike");
  return passed("", {{"grid", c10::str(height, " x ", width)}});
}

Outcome check_masking(const Subject& subject) {
  torch::manual_seed(kSeed);
  const auto backbone = make_image(subject.plugin, subject.options, kImageSize);
  backbone->eval();
  at::Tensor images = pictures(kImageSize);
  const ImageFeatures plain = backbone->forward(images);
  const int64_t patches = plain.patches.size(1);
  const at::Tensor token = at::full({backbone->width()}, 0.1).requires_grad_();
  const auto none = at::zeros({kBatch, patches}, at::kBool);
  ImageFeatures unmasked;
  try {
    unmasked = backbone->forward_masked(images, none, token);
  } catch (const Error& error) {
    return not_applicable(error.what());
  }
  if (relative_difference(plain.patches, unmasked.patches) > kRoundoff)
    return failed("with no patch masked, forward_masked() gives other patches than forward()");
  const PatchGrid grid = backbone->patch_grid(kImageSize, kImageSize);
  if (grid.height != plain.grid_height || grid.width != plain.grid_width)
    return failed(c10::str("patch_grid() says ", grid.height, " x ", grid.width, " where forward() gives ",
                           plain.grid_height, " x ", plain.grid_width));
  const ImageFeatures masked = backbone->forward_masked(images, at::ones_like(none), token);
  if (const std::string fault = fault_of(masked, backbone->width()); !fault.empty()) return failed(fault);
  const ImageFeatures other = backbone->forward_masked(-images, at::ones_like(none), token);
  if (relative_difference(masked.patches, other.patches) > kRoundoff)
    return failed("with every patch masked, the features still depend on the picture");
  const auto spread = (masked.patches[0] - masked.patches[0].mean(0, true)).abs().max().item<double>();
  if (patches > 1 && spread < 1e-6)
    return failed(
        "with every patch masked, all patches are the same: the mask token comes before the position embeddings");
  masked.patches.sum().backward();
  if (!token.grad().defined() || token.grad().count_nonzero().item<int64_t>() == 0)
    return failed("the mask token gets no gradient");
  return passed();
}

constexpr int64_t kVocabulary = 64;

at::Tensor tokens(int64_t length) {
  at::Tensor rows = at::zeros({kBatch, length}, at::kLong);  // padding 0
  PracticeTokenizer tokenizer;
  const std::array<std::string, kBatch> texts = {"a boat", "an apple beside a drum on a table near a window", ""};
  for (int64_t row = 0; row < kBatch; ++row) {
    const auto ids = tokenizer.encode(texts[static_cast<std::size_t>(row)], length);
    for (int64_t i = 0; i < length; ++i) rows[row][i] = ids[static_cast<std::size_t>(i)];
  }
  return rows;
}

std::shared_ptr<TextBackbone> make_text(const PluginInfo& plugin, const Options& options) {
  return make_text_backbone(plugin, {.options = options,
                                     .vocabulary_size = kVocabulary,
                                     .context_length = kPracticeContext,
                                     .padding_id = 0,
                                     .end_id = kVocabulary - 1});
}

Outcome check_text_shapes(const Subject& subject) {
  const torch::NoGradGuard no_grad;
  make_text(subject.plugin, subject.full);
  const auto backbone = make_text(subject.plugin, subject.options);
  const at::Tensor pooled = backbone->forward(tokens(kPracticeContext));
  if (pooled.sizes() != at::IntArrayRef({kBatch, backbone->width()}))
    return failed(c10::str("forward() gives the shape ", pooled.sizes(), ", not [B, D] = [", kBatch, ", ",
                           backbone->width(), "]"));
  if (!is_finite(pooled)) return failed("the features hold NaN or infinity");
  if (relative_difference(pooled[0], pooled[1]) < 1e-6) return failed("two different texts have the same features");
  return passed("", {{"width", backbone->width()}, {"parameters", parameter_count(*backbone)}});
}

}  // namespace

void check_image_backbone(const Subject& subject, Report& report) {
  report.check("shapes", "backbone.h: pooled [B, D], patches [B, N, D]; views of 64 and 32 pixels",
               [&] { return check_shapes(subject); });
  report.check("patch order", "backbone.h: patch tokens \"row by row\"", [&] { return check_order(subject); });
  report.check("masking", "backbone.h: forward_masked(), patch_grid()", [&] { return check_masking(subject); });
  BackboneChecks<ImageBackbone> checks([&] { return make_image(subject.plugin, subject.options, kImageSize); },
                                       image_outputs);
  check_common(checks, "backbone.h", report);
}

void check_text_backbone(const Subject& subject, Report& report) {
  report.check("shapes", "backbone.h: [B, T] to [B, D]; texts of 9 tokens, one of them empty",
               [&] { return check_text_shapes(subject); });
  BackboneChecks<TextBackbone> checks(
      [&] { return make_text(subject.plugin, subject.options); },
      [](TextBackbone& backbone, at::ScalarType, int64_t first, int64_t count) -> Outputs {
        return {{"features", backbone.forward(tokens(kPracticeContext).slice(0, first, first + count))}};
      });
  check_common(checks, "backbone.h", report);
}

}  // namespace silc::conformance
