// The options that choose a plan: the same words for every verb.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "plan/plan.h"

namespace coracle::cmd {

/// --pin auto|none: may memory that is left over keep weights open between predictions?
void AddPinOption(CLI::App* verb, std::string& pin);

/// --batch N: how many inputs go through the network together.
void AddBatchOption(CLI::App* verb, uint32_t& batch);

/// The request, but for the rates. Requires: `pin` is auto or none.
plan::PlanRequest PlanRequestOf(uint64_t budget_bytes, uint32_t threads, const std::string& pin,
                                uint32_t batch);

}  // namespace coracle::cmd
