"""Baselines: boosted trees and logistic regression on a few features of each sample."""
