#include "plugins/evaluators/prompts.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace silc::evaluators {
namespace {

constexpr std::string_view kPlace = "{}";
constexpr std::size_t kTextsAtOnce = 256;

std::string fill(const std::string& text, const std::string& name) {
  std::string prompt = text;
  for (std::size_t at = prompt.find(kPlace); at != std::string::npos; at = prompt.find(kPlace, at + name.size()))
    prompt.replace(at, kPlace.size(), name);
  return prompt;
}

std::vector<std::string> choose_templates(const EvaluationContext& context, std::string_view evaluator) {
  std::vector<std::string> templates = context.options[kTemplates];
  if (templates.empty()) templates = context.dataset.prompt_templates();
  if (templates.empty())
    throw Error(
        fmt::format("evaluator \"{}\": the dataset has no prompt templates; set the option templates, as in "
                    "templates = [\"a photo of a {{}}\"]",
                    evaluator));
  for (const std::string& text : templates)
    if (text.find(kPlace) == std::string::npos)
      throw Error(fmt::format("evaluator \"{}\": the template \"{}\" lacks \"{{}}\", the place of the class name",
                              evaluator, text));
  return templates;
}

}  // namespace

at::Tensor class_embeddings(const EvaluationContext& context, std::string_view evaluator) {
  const std::vector<std::string> classes = context.dataset.classes();
  if (classes.empty())
    throw Error(fmt::format("evaluator \"{}\" needs class names, and the dataset has none", evaluator));
  const std::vector<std::string> templates = choose_templates(context, evaluator);

  const std::size_t classes_at_once = std::max<std::size_t>(1, kTextsAtOnce / templates.size());
  std::vector<at::Tensor> parts;
  for (std::size_t first = 0; first < classes.size(); first += classes_at_once) {
    const std::size_t last = std::min(first + classes_at_once, classes.size());
    std::vector<std::string> prompts;
    for (std::size_t c = first; c < last; ++c)
      for (const std::string& text : templates) prompts.push_back(fill(text, classes[c]));
    const at::Tensor embeddings = context.encoder.embed_texts(prompts);
    check_finite(embeddings, evaluator);
    const auto count = static_cast<int64_t>(last - first);
    parts.push_back(embeddings.view({count, static_cast<int64_t>(templates.size()), -1}).mean(1));  // [c, E]
  }
  const at::Tensor means = at::cat(parts);  // [C, E]
  return means / means.norm(2, -1, true).clamp_min(1e-12);
}

void check_finite(const at::Tensor& embeddings, std::string_view evaluator) {
  if (!at::isfinite(embeddings).all().item<bool>())
    throw Error(
        fmt::format("evaluator \"{}\": the model gives embeddings that are not finite. Its weights are broken, "
                    "as by a training run that diverged",
                    evaluator));
}

}  // namespace silc::evaluators
