//! Rules for the names of users and channels.
