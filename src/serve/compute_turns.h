#pragma once
// Who computes next, of several who share the threads of a process. Turns follow the time that each has computed: of those that wait,
// the one with the least goes first, so that however much waits for one, another waits for one turn of it at most (start-time fair
// queueing: Goyal, Vin, Cheng 1996, https://doi.org/10.1145/248157.248171, section 2, with equal weights and measured lengths).
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>

namespace mlac {

// Safe to use from several threads. Outlives its parties.
class ComputeTurns {
 public:
  // One who takes turns: a model's queue. Belongs to the turns it is used with.
  class Party {
   public:
    Party() : place_(1, this) {}
    Party(const Party&) = delete;
    Party& operator=(const Party&) = delete;

   private:
    friend class ComputeTurns;
    double used_ms_ = 0;
    std::list<Party*> place_;  // its entry in the list of those who wait, so that no memory is needed to wait
  };

  // The right to compute, until it goes or End is called.
  class Turn {
   public:
    Turn(Turn&& other) noexcept;
    Turn& operator=(Turn&&) = delete;
    ~Turn() { End(); }
    void End();

   private:
    friend class ComputeTurns;
    Turn(ComputeTurns* turns, Party& party) : turns_(turns), party_(party), start_(std::chrono::steady_clock::now()) {}
    ComputeTurns* turns_;  // null: over
    Party& party_;
    std::chrono::steady_clock::time_point start_;
  };

  // Waits until nobody computes and it is this one's turn. A party takes one turn at a time.
  Turn Take(Party& party);

  // How many wait, for tests.
  size_t num_waiting() const;

 private:
  void Release(Party& party, double used_ms);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool taken_ = false;
  double clock_ms_ = 0;        // used_ms_ of the one that computes, when it began: who was idle does not begin below it
  std::list<Party*> waiting_;  // in the order of their coming
};

}  // namespace mlac
