#include "engine/failure.h"

#include <c10/util/Exception.h>

#include <algorithm>

namespace silc {

std::string one_line(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  text = text.substr(0, text.find("\nException raised from"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  // LibTorch's allocators: "you tried to allocate …", "Tried to allocate …".
  if (text.find("ried to allocate") != std::string::npos) text += "; use a smaller optimizer.batch or model";
  return text;
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
