// The options that the plugins linked into this test program declare, with their defaults.
#pragma once

#include "silc/testing/options.h"
