// Compiled once for all files that include LibTorch.
#pragma once

#include <torch/torch.h>
