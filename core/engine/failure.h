// Faults of plugins, told so that a person knows whose fault it is.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "engine/plugin_scope.h"
#include "engine/rank_lost.h"
#include "plugin/catalogue.h"
#include "silc/error.h"

namespace silc {

// A fault inside a plugin. what() begins with the plugin's kind and name.
class PluginFailure : public Error {
 public:
  PluginFailure(PluginKind kind, std::string plugin, const std::string& message)
      : Error(message), kind_(kind), plugin_(std::move(plugin)) {}
  [[nodiscard]] PluginKind kind() const { return kind_; }
  [[nodiscard]] const std::string& plugin() const { return plugin_; }

 private:
  PluginKind kind_;
  std::string plugin_;
};

// Thrown where a long computation notices that the process shall stop. Not a std::exception, so that no plugin takes it
// for a fault.
struct Interrupted {};

// Whether memory ran out, the CPU's or a GPU's.
bool is_out_of_memory(const std::exception& error);

// An exception's text in one line, without LibTorch's C++ back-trace; with a remedy where memory ran out.
std::string one_line(const std::exception& error);

// 'objective "silc"'
std::string plugin_title(PluginKind kind, const std::string& name);

// `message` as the fault of a plugin; a message that names the plugin already is left as it is.
PluginFailure plugin_failure(PluginKind kind, const std::string& name, const std::string& message);

// Runs `work`, turning its exceptions into PluginFailure. What becomes of the process meanwhile is put down to the
// plugin.
template <class Work>
decltype(auto) in_plugin(PluginKind kind, const std::string& name, Work&& work) {
  const PluginScope scope(plugin_title(kind, name));
  try {
    return std::forward<Work>(work)();
  } catch (const PluginFailure&) {
    throw;
  } catch (const RankLost&) {
    throw;
  } catch (const std::exception& error) {
    throw plugin_failure(kind, name, one_line(error));
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    throw plugin_failure(kind, name, "threw something that is no std::exception");
  }
}

}  // namespace silc
