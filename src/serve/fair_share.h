// FairShare: how much of the machine's time each model has had, beside the others.
//
// Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996): each
// model has an account of the time that it used divided by its weight, and the smallest account
// goes next. A model that comes back from idling starts where the others are: it has saved nothing.
// One that waited while higher priorities ran is owed time, but never more than the credit.
#pragma once

namespace coracle::serve {

struct ShareAccount {
  double weight = 1;
  double used_ms = 0;  ///< core-milliseconds per weight; comparable between accounts only
};

/// Threads: one at a time.
class FairShare {
 public:
  explicit FairShare(double credit_ms) : credit_ms_(credit_ms) {}

  /// The model had nothing to do and has something now.
  void Wake(ShareAccount& account) const;
  /// A convoy of the model starts that takes `core_ms`.
  void Charge(ShareAccount& account, double core_ms);

 private:
  const double credit_ms_;
  double reached_ms_ = 0;  ///< the furthest account at which a convoy has started
};

}  // namespace coracle::serve
