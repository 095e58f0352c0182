// Visibility of what crosses the border between silc-engine, its libraries and a plugin.
//
// Everything is built with hidden visibility; only what is marked here is shared. Interfaces and
// exceptions must be marked, or dynamic_cast and catch fail across shared libraries.
#pragma once

#define SILC_EXPORT __attribute__((visibility("default")))
