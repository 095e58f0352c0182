#include "engine/failure.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <string_view>

namespace silc {

namespace {

// As at::Context::alertNotDeterministic says it.
constexpr std::string_view kNotDeterministic = "does not have a deterministic implementation";

// LibTorch tells at length how a GPU's memory is taken up and how its allocator can be set; of use here is how much was
// asked for, and how much there is.
std::string without_statistics(std::string text) {
  for (const char* rest : {" Including non-PyTorch memory", " Process ", " Of the allocated memory"})
    text = text.substr(0, text.find(rest));
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  // LibTorch's allocators: "you tried to allocate …", "Tried to allocate …".
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what()).find("ried to allocate") != std::string_view::npos;
}

std::string one_line(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return "out of memory; use a smaller optimizer.batch or model";
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  text = text.substr(0, text.find("\nException raised from"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (const auto end = text.find(kNotDeterministic); end != std::string::npos)
    return text.substr(0, end + kNotDeterministic.size()) +
           " on this device, so a cell would not give the same bits twice; use another operator, or allow it by "
           "engine.deterministic = false";
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr)
    return without_statistics(text) +
           "; use a smaller optimizer.batch or model, engine.chunk or engine.recompute, or fewer --jobs on a GPU";
  return is_out_of_memory(error) ? text + "; use a smaller optimizer.batch or model" : text;
}

std::string plugin_title(PluginKind kind, const std::string& name) {
  std::string title(kind_name(kind));
  return title.append(" \"").append(name).append("\"");
}

PluginFailure plugin_failure(PluginKind kind, const std::string& name, const std::string& message) {
  std::string quoted = "\"";
  quoted.append(name).append("\"");
  if (message.find(quoted) != std::string::npos) return PluginFailure(kind, name, message);
  return PluginFailure(kind, name, plugin_title(kind, name).append(": ").append(message));
}

}  // namespace silc
