"""What makes a page a lesson: predictions, claims, the ledger, quizzes, lab checks."""

from helpers.lesson import ledger
from helpers.lesson.claim import claim
from helpers.lesson.if_here import if_here
from helpers.lesson.predict import predict
from helpers.lesson.quiz import quiz

__all__ = ["claim", "if_here", "ledger", "predict", "quiz"]
