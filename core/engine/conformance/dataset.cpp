#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/conformance/conformance.h"
#include "engine/conformance/in_threads.h"
#include "engine/cost.h"
#include "pictures/decode.h"
#include "plugin/loader.h"
#include "silc/utf8.h"

namespace silc::conformance {
namespace {

constexpr int64_t kLookedAt = 32;   // samples, spread over the dataset
constexpr int64_t kCompared = 256;  // samples of each split that are compared with those of another

std::shared_ptr<Dataset> make(const Subject& subject, const std::string& split) {
  const char* directory = std::getenv("SILC_DATA");
  return make_dataset(subject.plugin,
                      {.options = subject.options, .split = split, .directory = directory == nullptr ? "" : directory});
}

std::vector<int64_t> spread_over(int64_t size, int64_t count) {
  std::set<int64_t> indices;
  for (int64_t i = 0; i < std::min(size, count); ++i)
    indices.insert(std::min(size, count) == 1 ? 0 : i * (size - 1) / (std::min(size, count) - 1));
  return {indices.begin(), indices.end()};
}

bool same(const Sample& a, const Sample& b) {
  const auto same_box = [](const Box& left, const Box& right) {
    return left.x0 == right.x0 && left.y0 == right.y0 && left.x1 == right.x1 && left.y1 == right.y1 &&
           left.label == right.label;
  };
  return a.image.width == b.image.width && a.image.height == b.image.height && a.image.rgb == b.image.rgb &&
         a.image.encoded == b.image.encoded && a.captions == b.captions && a.label == b.label && a.mask == b.mask &&
         std::equal(a.boxes.begin(), a.boxes.end(), b.boxes.begin(), b.boxes.end(), same_box);
}

std::string fault_of(const Sample& sample, int64_t classes) {
  const Image image = decoded(sample.image);
  if (image.width != sample.image.width || image.height != sample.image.height)
    return "its picture is not as large as its header says";
  if (image.width < 1 || image.height < 1) return "its picture has no pixels";
  const auto pixels = static_cast<std::size_t>(image.width * image.height);
  if (image.rgb.size() != pixels * 3)
    return "its picture of " + std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels has " +
           std::to_string(image.rgb.size()) + " bytes, not three for each pixel";
  if (sample.captions.empty()) return "it has no caption";
  for (const std::string& caption : sample.captions) {
    if (caption.find_first_not_of(" \t\r\n") == std::string::npos) return "it has an empty caption";
    if (!is_utf8(caption)) return "a caption is not UTF-8";
  }
  const auto is_class = [&](int64_t label) { return label >= 0 && label < classes; };
  const std::string of = " of " + std::to_string(classes) + " classes";
  if (sample.label != kNoLabel && !is_class(sample.label))
    return "its label is " + std::to_string(sample.label) + of + "; kNoLabel is for pictures without one";
  if (!sample.mask.empty() && sample.mask.size() != pixels)
    return "its mask has " + std::to_string(sample.mask.size()) + " pixels, the picture " + std::to_string(pixels);
  for (const uint8_t label : sample.mask)
    if (label != kIgnoreLabel && !is_class(label))
      return "its mask holds " + std::to_string(label) + of + "; kIgnoreLabel is for pixels without one";
  for (const Box& box : sample.boxes) {
    if (!is_class(box.label)) return "a box has the label " + std::to_string(box.label) + of;
    const bool inside = box.x0 >= 0 && box.y0 >= 0 && box.x0 < box.x1 && box.y0 < box.y1 &&
                        box.x1 <= static_cast<float>(image.width) && box.y1 <= static_cast<float>(image.height);
    if (!inside) return "a box does not lie within the picture, or is empty";
  }
  return "";
}

std::string of_sample(int64_t index) { return "sample " + std::to_string(index) + ": "; }

class DatasetChecks {
 public:
  explicit DatasetChecks(const Subject& subject) : subject_(subject) {}

  Outcome opens() {
    try {
      dataset_ = make(subject_, "train");
    } catch (const Error& error) {
      return not_applicable(std::string(error.what()) + " (--option and SILC_DATA say where its files are)");
    }
    if (dataset_->size() < 1) return failed("the split \"train\" has no samples");
    return passed("", {{"samples", dataset_->size()}});
  }

  [[nodiscard]] bool is_open() const { return dataset_ != nullptr && dataset_->size() > 0; }

  Outcome samples() {
    const auto classes = static_cast<int64_t>(dataset_->classes().size());
    std::optional<bool> masks;
    for (const int64_t index : indices()) {
      const Sample sample = dataset_->sample(index);
      if (const std::string fault = fault_of(sample, classes); !fault.empty()) return failed(of_sample(index) + fault);
      if (masks.value_or(!sample.mask.empty()) == sample.mask.empty())
        return failed(of_sample(index) + "some samples have masks and others have none");
      masks = !sample.mask.empty();
    }
    return passed("", {{"looked_at", indices().size()}, {"classes", classes}});
  }

  Outcome class_names() {
    const std::vector<std::string> names = dataset_->classes();
    if (names.empty()) return not_applicable("it has no classes");
    if (std::set(names.begin(), names.end()).size() != names.size()) return failed("two classes have the same name");
    for (const std::string& name : names)
      if (name.empty()) return failed("a class has no name");
    const std::vector<std::string> templates = dataset_->prompt_templates();
    if (templates.empty()) return failed("there are classes, but no prompt templates for them");
    for (const std::string& text : templates)
      if (text.find("{}") == std::string::npos)
        return failed("the prompt template \"" + text + "\" lacks {}, the place of the class name");
    return passed("", {{"classes", names.size()}, {"templates", templates.size()}});
  }

  Outcome repeatable() {
    const auto other = make(subject_, "train");
    if (other->size() != dataset_->size()) return failed("opened again it has another number of samples");
    const std::vector<int64_t> order = indices();
    // Backwards, so that what a sample may have left behind differs.
    std::map<int64_t, Sample> first;
    for (const int64_t index : order) first[index] = dataset_->sample(index);
    for (auto index = order.rbegin(); index != order.rend(); ++index) {
      if (!same(first[*index], dataset_->sample(*index)))
        return failed(of_sample(*index) + "a second call gives another");
      if (!same(first[*index], other->sample(*index)))
        return failed(of_sample(*index) + "opened again it gives another");
    }
    const std::string fault = in_threads([&](std::size_t thread) -> std::string {
      for (std::size_t i = 0; i < order.size(); ++i) {
        const int64_t index = order[(i * (2 * thread + 1) + thread) % order.size()];
        try {
          if (!same(first.at(index), dataset_->sample(index)))
            return of_sample(index) + "read by several threads at once it is another";
        } catch (const std::exception& error) {
          return of_sample(index) + "read by several threads at once: " + error.what();
        }
      }
      return "";
    });
    if (!fault.empty()) return failed(fault);
    return passed("", {{"samples", order.size()}, {"threads", 4}});
  }

  Outcome captions() {
    for (const int64_t index : indices())
      if (dataset_->captions(index) != dataset_->sample(index).captions)
        return failed(of_sample(index) + "captions() gives others than sample()");
    return passed();
  }

  Outcome fingerprint() {
    const std::string fingerprint = dataset_->fingerprint();
    if (fingerprint.empty()) return failed("it is empty");
    if (!is_utf8(fingerprint)) return failed("it is not UTF-8");
    if (dataset_->fingerprint() != fingerprint || make(subject_, "train")->fingerprint() != fingerprint)
      return failed("it is another the second time, though nothing has changed");
    return passed("", {{"fingerprint", fingerprint}});
  }

  Outcome splits() {
    const auto pictures_of = [](const Dataset& dataset) {
      std::map<std::string, int64_t> pictures;  // by their bytes
      for (const int64_t index : spread_over(dataset.size(), kCompared)) {
        const std::vector<uint8_t> rgb = decoded(dataset.sample(index).image).rgb;
        pictures.emplace(std::string(rgb.begin(), rgb.end()), index);
      }
      return pictures;
    };
    const auto train = pictures_of(*dataset_);
    int64_t compared = 0;
    for (const std::string split : {"validation", "test"}) {
      std::shared_ptr<Dataset> other;
      try {
        other = make(subject_, split);
      } catch (const Error&) {
        continue;
      }
      if (other->size() < 1) continue;
      ++compared;
      for (const auto& [picture, index] : pictures_of(*other))
        if (const auto found = train.find(picture); found != train.end())
          return failed("sample " + std::to_string(index) + " of the split \"" + split + "\" is sample " +
                        std::to_string(found->second) + " of \"train\"");
    }
    if (compared == 0) return not_applicable("it has no split \"validation\" or \"test\" with these options");
    return passed("", {{"splits", compared + 1}, {"samples_each", kCompared}});
  }

  Outcome speed() {
    const std::vector<int64_t> order = indices();
    const Stopwatch watch;
    for (const int64_t index : order) static_cast<void>(dataset_->sample(index));
    return passed("", {{"milliseconds_per_sample", 1e3 * watch.elapsed().seconds / static_cast<double>(order.size())}});
  }

 private:
  [[nodiscard]] std::vector<int64_t> indices() const { return spread_over(dataset_->size(), kLookedAt); }

  const Subject& subject_;
  std::shared_ptr<Dataset> dataset_;
};

}  // namespace

void check_dataset(const Subject& subject, Report& report) {
  DatasetChecks checks(subject);
  report.check("opens", "dataset.h: \"A file that cannot be read throws silc::Error naming it\"",
               [&] { return checks.opens(); });
  const auto check = [&](const std::string& name, const std::string& rule, Outcome (DatasetChecks::*work)()) {
    report.check(name, rule, [&] { return checks.is_open() ? (checks.*work)() : not_applicable("it does not open"); });
  };
  check("samples", "dataset.h: pictures, captions, labels, masks and boxes", &DatasetChecks::samples);
  check("classes", "dataset.h: classes() and prompt_templates()", &DatasetChecks::class_names);
  check("repeatable", "dataset.h: a sample is \"the same on every call, thread and machine\"",
        &DatasetChecks::repeatable);
  check("captions", "dataset.h: captions() are \"The captions of sample(index)\"", &DatasetChecks::captions);
  check("fingerprint", "dataset.h: fingerprint() changes when any sample may have changed",
        &DatasetChecks::fingerprint);
  check("splits", "no picture is in two splits", &DatasetChecks::splits);
  check("speed", "reported, not judged", &DatasetChecks::speed);
}

}  // namespace silc::conformance
