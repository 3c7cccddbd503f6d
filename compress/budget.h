// Whether budgets can be met at all: said before any training. Called by `fastdeepiot compress`.
#pragma once
#include <string>
#include <vector>

#include "compress/objective.h"
#include "compress/search.h"

namespace fdi::compress {

// "0.8 ms of time", "12% of the parameters"; of a percentage one digit less.
constexpr int kAmountDigits = 4;
std::string amount(const Objective& what, double value, int digits = kAmountDigits);
// Digits, kAmountDigits or more, by which the amounts of two values that differ read differently.
int telling_digits(const Objective& what, double a, double b);

// "0.8 ms of time, the budget 1 ms of time" where the whole network keeps all limits; else empty.
std::string kept_already(const std::vector<Limit>& limits, const nn::UnitGroups& groups);

// Throws Error of one line where a limit is below what the narrowest structure costs (of time: all widths 1, or the few
// units that the model says are faster; the layers that take most of it are named); where they cannot hold together.
// `model` may be null where no limit is on the time.
void check_budgets(const std::vector<Limit>& limits, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                   const profile::TimeModel* model);

}  // namespace fdi::compress
