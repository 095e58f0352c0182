#include "weights/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "files/safetensors.h"
#include "weights/element_types.h"

namespace silc {

void WeightFigures::add(const WeightFigures& other) {
  tensors += other.tensors;
  parameters += other.parameters;
  for (const auto& [dtype, count] : other.dtypes) dtypes[dtype] += count;
  floating += other.floating;
  squares += other.squares;
  greatest = std::max(greatest, other.greatest);
  not_finite += other.not_finite;
}

WeightFigures figures_of(const WeightsFile& file, const std::string& name) {
  const WeightShape& shape = file.tensors().at(name);
  const std::vector<std::byte> bytes = file.read(name);
  WeightFigures figures;
  figures.tensors = 1;
  figures.parameters = static_cast<int64_t>(bytes.size() / element_size(shape.dtype));
  figures.dtypes[shape.dtype] = figures.parameters;
  if (!is_floating(shape.dtype)) return figures;
  figures.floating = figures.parameters;
  constexpr std::size_t kPart = std::size_t{1} << 18;  // bytes, a multiple of every type's
  std::vector<double> values;
  for (std::size_t at = 0; at < bytes.size(); at += kPart) {
    read_elements(shape.dtype, std::span(bytes).subspan(at, std::min(kPart, bytes.size() - at)), values);
    for (const double value : values) {
      if (!std::isfinite(value)) {
        ++figures.not_finite;
        continue;
      }
      figures.squares += value * value;
      figures.greatest = std::max(figures.greatest, std::abs(value));
    }
  }
  return figures;
}

std::string tower_of(std::string_view name) {
  constexpr std::array<std::string_view, 3> kOptimizer = {"optimizer.", "opt/", "opt."};
  const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (std::any_of(kOptimizer.begin(), kOptimizer.end(), begins)) return "optimizer";
  for (const std::string_view part : {"objective", "teacher"})
    if (name.starts_with(part) && name.substr(part.size()).starts_with('.')) return std::string(part);
  // With what names may begin: of a state dict within a file, of a module within another.
  constexpr std::array<std::string_view, 5> kAround = {"state_dict.", "model.", "module.", "params/", "params."};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kAround)
      if (name.starts_with(prefix)) {
        name.remove_prefix(prefix.size());
        again = true;
      }
  }
  constexpr std::array<std::string_view, 6> kImage = {"visual.", "vision_model.", "visual_projection.",
                                                      "img/",    "image.",        "trunk."};
  constexpr std::array<std::string_view, 10> kText = {
      "text.",         "text_model.",      "text_projection",      "txt/",
      "transformer.",  "token_embedding.", "positional_embedding", "ln_final.",
      "text_decoder.", "encoder.text."};
  if (std::any_of(kImage.begin(), kImage.end(), begins)) return "image";
  if (std::any_of(kText.begin(), kText.end(), begins)) return "text";
  return "other";
}

}  // namespace silc
