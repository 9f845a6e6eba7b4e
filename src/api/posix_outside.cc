#include "api/posix_outside.h"

#include <utility>

#include "crypto/aead.h"
#include "kernels/kernel.h"

namespace coracle {

Result<std::unique_ptr<runtime::Session>> PosixOutside::Start(const seal::SealedModel& model,
                                                              plan::Plan plan,
                                                              runtime::RunObserver* observer) {
  if (seal_ == nullptr && runtime::KeepsRowsOutside(plan)) {
    TRY_ASSIGN(seal_,
               runtime::ProcessSeal::Create(entropy_, memory_, crypto::PreferredAeadBackend()));
  }
  return runtime::Session::Create(
      model, std::move(plan), kernels::SimdKernels(),
      {&memory_, &threads_, &clock_, seal_.get(), &outside_memory_, observer});
}

}  // namespace coracle
