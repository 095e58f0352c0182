#include "plugin/loader.h"

#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <map>
#include <mutex>

namespace silc {
namespace {

std::string described(const PluginInfo& plugin) {
  return std::string(kind_name(plugin.kind)) + " \"" + plugin.name + "\" (" + plugin.library.string() + ")";
}

// The stamp is read again: the file may have been built anew since the catalogue was made.
void check_declared(const PluginInfo& plugin) {
  const std::vector<PluginInfo> declared = read_plugins(plugin.library);
  const bool found = std::any_of(declared.begin(), declared.end(), [&](const PluginInfo& other) {
    return other.kind == plugin.kind && other.name == plugin.name && other.factory == plugin.factory;
  });
  if (!found) throw Error(described(plugin) + " is no longer in its library; start silc again");
}

// Libraries are never unloaded: objects, exceptions and autograd nodes of a plugin may outlive whoever asked for them,
// hence the map that is not destroyed either.
boost::dll::shared_library& loaded_library(const PluginInfo& plugin) {
  static std::mutex mutex;  // guards `libraries`
  static auto& libraries = *new std::map<std::filesystem::path, boost::dll::shared_library>;
  const std::filesystem::path path = std::filesystem::absolute(plugin.library);
  const std::lock_guard lock(mutex);
  if (const auto found = libraries.find(path); found != libraries.end()) return found->second;
  check_declared(plugin);
  std::error_code error;
  boost::dll::shared_library library;
  library.load(path, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local, error);
  if (error) {
    // Boost's error code does not say which symbol or library is missing.
    const char* reason = dlerror();
    throw Error(plugin.library.string() + " cannot be loaded: " + (reason == nullptr ? error.message() : reason) +
                "; rebuild it, or install the libraries that it needs (ldd shows which)");
  }
  return libraries.emplace(path, std::move(library)).first->second;
}

template <class Interface, class Context>
std::shared_ptr<Interface> make(PluginKind kind, const PluginInfo& plugin, const Context& context) {
  if (plugin.kind != kind)
    throw std::logic_error(described(plugin) + " is asked for as " + std::string(kind_name(kind)));
  boost::dll::shared_library& library = loaded_library(plugin);
  if (!library.has(plugin.factory))
    throw Error(described(plugin) + " declares the factory " + plugin.factory +
                " but does not export it; declare plugins with the SILC_ macros only");
  auto& factory = library.get<Interface*(const Context&)>(plugin.factory);
  try {
    std::shared_ptr<Interface> object(factory(context));
    if (!object) throw Error(described(plugin) + " made nothing");
    return object;
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw Error(described(plugin) + " failed: " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw Error(described(plugin) + " failed: " + error.what());
  } catch (...) {
    throw Error(described(plugin) + " failed with something that is no std::exception");
  }
}

}  // namespace

std::shared_ptr<Objective> make_objective(const PluginInfo& plugin, const ObjectiveContext& context) {
  return make<Objective>(PluginKind::objective, plugin, context);
}

std::shared_ptr<ImageBackbone> make_image_backbone(const PluginInfo& plugin, const ImageBackboneContext& context) {
  return make<ImageBackbone>(PluginKind::image_backbone, plugin, context);
}

std::shared_ptr<TextBackbone> make_text_backbone(const PluginInfo& plugin, const TextBackboneContext& context) {
  return make<TextBackbone>(PluginKind::text_backbone, plugin, context);
}

std::shared_ptr<Evaluator> make_evaluator(const PluginInfo& plugin, const EvaluatorContext& context) {
  return make<Evaluator>(PluginKind::evaluator, plugin, context);
}

std::shared_ptr<Dataset> make_dataset(const PluginInfo& plugin, const DatasetContext& context) {
  return make<Dataset>(PluginKind::dataset, plugin, context);
}

std::shared_ptr<Tokenizer> make_tokenizer(const PluginInfo& plugin, const TokenizerContext& context) {
  return make<Tokenizer>(PluginKind::tokenizer, plugin, context);
}

}  // namespace silc
