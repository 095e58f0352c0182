#include "silc/export.h"

// A shared library like any other.
extern "C" SILC_EXPORT int answer() { return 42; }
