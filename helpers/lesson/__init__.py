"""What makes a page a lesson: predictions, claims, the ledger, quizzes, lab checks."""

from helpers.lesson import ledger
from helpers.lesson.claim import claim
from helpers.lesson.predict import predict
from helpers.lesson.quiz import quiz

__all__ = ["claim", "ledger", "predict", "quiz"]
