// "Did you mean": for names that people mistype. No LibTorch.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace silc {

// The candidate that `name` is most likely meant to be; empty if none is near. Near is an edit distance (insertions,
// deletions, substitutions, swaps of neighbours; case does not count) of at most a third of the longer name.
std::string most_similar(std::string_view name, std::span<const std::string> candidates);

// "; did you mean "distillation"?", else "; there are "a" and "b"", else "".
std::string suggestion(std::string_view name, std::span<const std::string> candidates);

}  // namespace silc
