// A plugin whose stamp does not fit, and whose static initialiser must therefore never run.
#include <cstdlib>

#include "silc/plugin.h"

namespace {

const bool kLoaded = (std::abort(), true);

consteval auto foreign_record() {
  auto record = silc::declare_plugin(silc::PluginKind::dataset, "foreign", "make_foreign", 1, "not for this silc");
#if defined(OTHER_ABI)
  record.header.stamp.abi = 999;
#elif defined(OTHER_TORCH)
  record.header.stamp.torch[0] = '1';
  record.header.stamp.torch[1] = '.';
  record.header.stamp.torch[2] = '9';
  record.header.stamp.torch[3] = 0;
#elif defined(OTHER_COMPILER)
  record.header.stamp.compiler[0] = 'X';
#endif
  return record;
}

}  // namespace

extern "C" SILC_EXPORT __attribute__((section("silc_plugins"), used)) const auto silc_foreign = foreign_record();
extern "C" SILC_EXPORT bool make_foreign() { return kLoaded; }
