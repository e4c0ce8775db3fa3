//! The model store keeps the contract of every store.

use simulation::model_store::ModelStore;

shared::every_store_sentence!(ModelStore::default());
