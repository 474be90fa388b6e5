"""Classifiers without a network: boosted trees and logistic regression."""
