// An objective that is written in Python: a TorchScript module from embeddings to a loss.
//
// forward() says by the names of its arguments what it wants: of a view set NAME, by default one called "image", NAME
// ([V, B, E], L2-normalised), NAME_features ([V, B, D], pooled, before the projection) and NAME_patches ([V, B, N, E],
// L2-normalised); text ([C, B, E], L2-normalised) and text_features ([C, B, D]); labels ([B]); fraction (of training)
// and step. Tensors are fp32. Only what is asked for is computed. B is the whole batch, that of all ranks.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "nn/precision.h"
#include "nn/ranks.h"
#include "nn/views.h"
#include "plugins/torchscript/script.h"
#include "silc/objective.h"

namespace silc::torchscript {
namespace {

// Where the module has no attribute `views`.
constexpr const char* kStandardViews = R"({"image": {"area": [0.9, 1.0]}})";

template <class T>
void read(const nlohmann::json& table, const char* key, T& value, std::set<std::string>& known) {
  known.insert(key);
  if (table.contains(key)) table.at(key).get_to(value);
}

// Throws a std::exception that says what is wrong.
void check_known(const nlohmann::json& table, const std::set<std::string>& known, const char* what) {
  for (const auto& [key, value] : table.items())
    if (!known.contains(key)) throw std::invalid_argument(fmt::format("\"{}\" is no property of {}", key, what));
}

Photometric read_colours(const nlohmann::json& table) {
  Photometric colours;
  std::set<std::string> known;
  read(table, "jitter", colours.jitter, known);
  read(table, "brightness", colours.brightness, known);
  read(table, "contrast", colours.contrast, known);
  read(table, "saturation", colours.saturation, known);
  read(table, "hue", colours.hue, known);
  read(table, "greyscale", colours.greyscale, known);
  read(table, "blur", colours.blur, known);
  read(table, "blur_sigma", colours.blur_sigma, known);
  read(table, "solarize", colours.solarize, known);
  check_known(table, known, "a view");
  return colours;
}

ViewSpec read_view(const std::string& name, const nlohmann::json& table) {
  ViewSpec view{.name = name};
  std::set<std::string> known = {"colours"};
  read(table, "count", view.count, known);
  read(table, "size", view.size, known);
  read(table, "area", view.area, known);
  read(table, "aspect_ratio", view.aspect_ratio, known);
  read(table, "flip", view.flip, known);
  check_known(table, known, "a view");
  if (table.contains("colours")) view.colours = read_colours(table.at("colours"));
  return view;
}

// `text`: the JSON object of the module's attribute `views`, from names to the properties of ViewSpec.
std::vector<ViewSpec> read_views(const Script& script, const std::string& text) {
  try {
    std::vector<ViewSpec> views;
    const auto object = nlohmann::json::parse(text);
    for (const auto& [name, table] : object.items()) views.push_back(read_view(name, table));
    if (views.empty()) throw std::invalid_argument("there is none");
    return views;
  } catch (const std::exception& error) {
    script.fail(
        fmt::format("its attribute \"views\" is no JSON object of views, as in json.dumps({{\"image\": {{\"count\": "
                    "2, \"area\": [0.4, 1.0]}}}}): {}",
                    error.what()));
  }
}

// Throws a std::exception that says what is wrong.
HealthCheck read_check(const nlohmann::json& table) {
  HealthCheck check;
  std::set<std::string> known = {"below", "above", "near"};
  int conditions = 0;
  const auto condition = [&](const char* key, HealthCondition kind) {
    if (!table.contains(key)) return;
    ++conditions;
    check.condition = kind;
    table.at(key).get_to(check.value);
  };
  condition("below", HealthCondition::below);
  condition("above", HealthCondition::above);
  condition("near", HealthCondition::near);
  read(table, "metric", check.metric, known);
  check.name = check.metric;
  read(table, "name", check.name, known);
  read(table, "tolerance", check.tolerance, known);
  read(table, "steps", check.steps, known);
  read(table, "share", check.share, known);
  read(table, "from", check.from, known);
  read(table, "message", check.message, known);
  check_known(table, known, "a check");
  if (conditions != 1) throw std::invalid_argument("a check needs one of \"below\", \"above\" and \"near\"");
  if (check.metric.empty() || check.message.empty())
    throw std::invalid_argument("a check needs a \"metric\" and a \"message\"");
  return check;
}

// `text`: the JSON array of the module's attribute `health`, of the properties of HealthCheck.
std::vector<HealthCheck> read_health(const Script& script, const std::string& text) {
  try {
    std::vector<HealthCheck> checks;
    const auto array = nlohmann::json::parse(text);
    if (!array.is_array()) throw std::invalid_argument("it is another kind of value");
    for (const auto& table : array) checks.push_back(read_check(table));
    return checks;
  } catch (const std::exception& error) {
    script.fail(
        fmt::format("its attribute \"health\" is no JSON array of checks, as in json.dumps([{{\"metric\": "
                    "\"teacher_entropy\", \"below\": 0.1, \"steps\": 50, \"message\": \"the teacher is too "
                    "sharp\"}}]): {}",
                    error.what()));
  }
}

enum class Input { embeddings, features, patches, text, text_features, labels, fraction, step };

struct Wanted {
  Input input;
  std::string view;  // of the first three
};

// What an argument of forward() may be called.
std::map<std::string, Wanted> inputs(const Script& script, const std::vector<ViewSpec>& views) {
  std::map<std::string, Wanted> names = {{"text", {Input::text, ""}},
                                         {"text_features", {Input::text_features, ""}},
                                         {"labels", {Input::labels, ""}},
                                         {"fraction", {Input::fraction, ""}},
                                         {"step", {Input::step, ""}}};
  for (const ViewSpec& view : views) {
    const bool fresh = names.emplace(view.name, Wanted{Input::embeddings, view.name}).second &&
                       names.emplace(view.name + "_features", Wanted{Input::features, view.name}).second &&
                       names.emplace(view.name + "_patches", Wanted{Input::patches, view.name}).second;
    if (!fresh) script.fail(fmt::format("a view cannot be called \"{}\": that is something else", view.name));
  }
  return names;
}

const c10::Type& type_of(Input input) {
  if (input == Input::fraction) return *c10::FloatType::get();
  if (input == Input::step) return *c10::IntType::get();
  return *c10::TensorType::get();
}

std::vector<Wanted> wanted_by(const Script& script, const std::vector<ViewSpec>& views) {
  const auto known = inputs(script, views);
  std::vector<Wanted> wanted;
  std::set<std::string> seen;
  for (const c10::Argument& argument : script.arguments("forward")) {
    const auto found = known.find(argument.name());
    if (found == known.end()) {
      std::string names;
      for (const auto& [name, input] : known) names += (names.empty() ? "" : ", ") + name;
      script.fail(fmt::format("forward() has an argument \"{}\"; it can have {}", argument.name(), names));
    }
    const c10::Type& type = type_of(found->second.input);
    if (!type.isSubtypeOf(*argument.type()))
      script.fail(fmt::format("forward() takes \"{}\" as {}; it is a {}", argument.name(),
                              argument.type()->annotation_str(), type.annotation_str()));
    wanted.push_back(found->second);
    seen.insert(found->second.view);
  }
  for (const ViewSpec& view : views)
    if (!seen.contains(view.name))
      script.fail(
          fmt::format("forward() has no argument for its view \"{0}\"; it can have {0}, {0}_features and "
                      "{0}_patches",
                      view.name));
  return wanted;
}

bool is_terms(const c10::Type& type) {
  const auto* dict = type.castRaw<c10::DictType>();
  return dict != nullptr && *dict->getKeyType() == *c10::StringType::get() &&
         dict->getValueType()->isSubtypeOf(*c10::TensorType::get());
}

void check_return_type(const Script& script) {
  const c10::TypePtr type = script.return_type("forward");
  const auto* tuple = type->castRaw<c10::TupleType>();
  const bool pair = tuple != nullptr && tuple->elements().size() == 2 && is_terms(*tuple->elements()[0]) &&
                    is_terms(*tuple->elements()[1]);
  if (!pair && !is_terms(*type) && !type->isSubtypeOf(*c10::TensorType::get()))
    script.fail(
        fmt::format("forward() returns {}; it must return the loss as a Tensor, its terms as a Dict[str, "
                    "Tensor], or terms and metrics as a tuple of two of those",
                    type->annotation_str()));
}

class TorchScript : public Objective {
 public:
  explicit TorchScript(const ObjectiveContext& context)
      : model_(context.model), script_(register_module("script", std::make_shared<Script>(context.options))) {
    views_ = read_views(*script_, script_->text_attribute("views", kStandardViews));
    captions_ = script_->integer_attribute("captions", 1);
    health_ = read_health(*script_, script_->text_attribute("health", "[]"));
    wanted_ = wanted_by(*script_, views_);
    check_return_type(*script_);
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return views_; }

  [[nodiscard]] int64_t captions() const override { return captions_; }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& /*batch*/) const override { return health_; }

  StepResult step(const Batch& batch, const Progress& progress) override {
    auto arguments = arguments_for(batch, progress);
    const NoAutocast guard;
    return result_of(script_->call("forward", std::move(arguments)));
  }

  void after_backward(const Progress& /*progress*/) override { script_->adopt_assigned(); }

  void after_update(const Progress& /*progress*/) override {
    if (!script_->has_method("after_update")) return;
    script_->call("after_update", {});
    script_->adopt_assigned();
  }

 private:
  [[nodiscard]] bool wants(Input input, const std::string& view) const {
    return std::any_of(wanted_.begin(), wanted_.end(),
                       [&](const Wanted& wanted) { return wanted.input == input && wanted.view == view; });
  }

  // Features of each view set. Sets whose patches are not asked for go through the tower together where they can.
  std::map<std::string, ImageFeatures> image_features(const Batch& batch) {
    std::map<std::string, ImageFeatures> features;
    std::vector<std::string> together;
    std::vector<at::Tensor> sets;
    for (const ViewSpec& view : views_) {
      const at::Tensor& images = batch.views.at(view.name);
      if (wants(Input::patches, view.name)) {
        features[view.name] = model_->image->forward(images);
      } else {
        together.push_back(view.name);
        sets.push_back(images);
      }
    }
    const auto pooled = pooled_features(*model_->image, sets);
    for (std::size_t i = 0; i < together.size(); ++i) features[together[i]].pooled = pooled[i];
    return features;
  }

  std::vector<c10::IValue> arguments_for(const Batch& batch, const Progress& progress) {
    const auto by_picture = [&](const at::Tensor& x) {
      return whole_batch(full_precision(x), batch.size).unflatten(0, {-1, batch.size * ranks().size()});  // [V, B, …]
    };
    const auto features = image_features(batch);
    const bool reads = wants(Input::text, "") || wants(Input::text_features, "");
    const auto text = reads ? model_->text->forward(batch.tokens) : at::Tensor();  // [C·B, D]
    std::vector<c10::IValue> arguments;
    for (const Wanted& wanted : wanted_) {
      switch (wanted.input) {
        case Input::embeddings:
          arguments.emplace_back(by_picture(model_->image->embed(features.at(wanted.view).pooled)));
          break;
        case Input::features:
          arguments.emplace_back(by_picture(features.at(wanted.view).pooled));
          break;
        case Input::patches:
          arguments.emplace_back(by_picture(model_->image->embed_patches(features.at(wanted.view))));
          break;
        case Input::text:
          arguments.emplace_back(by_picture(model_->text->embed_features(text)));
          break;
        case Input::text_features:
          arguments.emplace_back(by_picture(text));
          break;
        case Input::labels:
          arguments.emplace_back(ranks().gather(batch.labels));
          break;
        case Input::fraction:
          arguments.emplace_back(progress.fraction);
          break;
        case Input::step:
          arguments.emplace_back(progress.step);
          break;
      }
    }
    return arguments;
  }

  at::Tensor scalar(const std::string& name, const at::Tensor& value) const {
    if (value.dim() == 0 && value.is_floating_point()) return value;
    script_->fail(
        fmt::format("forward() gives \"{}\" as {} of {}; it must be one floating-point number, such as a "
                    "mean",
                    name, c10::str(value.sizes()), c10::toString(value.scalar_type())));
  }

  StepResult result_of(const c10::IValue& returned) const {
    StepResult result;
    if (returned.isTensor()) {
      result.terms.push_back({"loss", scalar("loss", returned.toTensor())});
      return result;
    }
    const bool pair = returned.isTuple();
    const auto terms = pair ? returned.toTupleRef().elements()[0] : returned;
    for (const auto& term : terms.toGenericDict())
      result.terms.push_back({term.key().toStringRef(), scalar(term.key().toStringRef(), term.value().toTensor())});
    if (result.terms.empty()) script_->fail("forward() gives no terms of the loss");
    if (!pair) return result;
    for (const auto& metric : returned.toTupleRef().elements()[1].toGenericDict())
      result.metrics[metric.key().toStringRef()] =
          scalar(metric.key().toStringRef(), metric.value().toTensor()).detach();
    return result;
  }

  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<Script> script_;
  std::vector<ViewSpec> views_;
  int64_t captions_ = 1;
  std::vector<HealthCheck> health_;
  std::vector<Wanted> wanted_;
};

}  // namespace
}  // namespace silc::torchscript

SILC_OBJECTIVE(torchscript, silc::torchscript::TorchScript, 1,
               "a loss written in Python: a TorchScript file that gets embeddings and returns a loss",
               silc::may_need(silc::Need::labels, silc::Need::several_captions, silc::Need::patch_tokens),
               silc::torchscript::kFile, silc::torchscript::kSet, silc::torchscript::kInit);
