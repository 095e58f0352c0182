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
  return text;
}

PluginFailure plugin_failure(PluginKind kind, const std::string& name, const std::string& message) {
  std::string quoted = "\"";
  quoted.append(name).append("\"");
  if (message.find(quoted) != std::string::npos) return PluginFailure(name, message);
  std::string described(kind_name(kind));
  return PluginFailure(name, described.append(" ").append(quoted).append(": ").append(message));
}

}  // namespace silc
